"""In-context image matting: mark an object once, get its alpha matte in any number of photos."""

__version__ = "0.1.0"
