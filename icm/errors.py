"""Errors that a user can cause: each says what was found, what was expected and what to do."""

from __future__ import annotations


class IcmError(Exception):
    """Base of every error that a user can cause and can mend. Its text is one or two lines."""


class InputError(IcmError):
    """A picture, mask, reference or argument cannot be used as given."""


class ConfigError(IcmError):
    """A configuration names something unknown or holds a value out of range."""


class WeightsError(IcmError):
    """Weights are missing, damaged, of another model, or could not be fetched."""


class DeviceError(IcmError):
    """The device that was asked for is not there or is too small."""


class DeviceMemoryError(DeviceError):
    """The device has too little memory for so much at a time."""


class OutputError(IcmError):
    """A result cannot be written where it was asked for."""


class BrokenOffError(IcmError):
    """A run could not go on after it had begun."""
