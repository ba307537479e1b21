"""A demonstration on the photographs that the installed gradio package ships."""

from icm.demo.run import REFERENCE, TARGETS, DemoResult, run_demo

__all__ = ["REFERENCE", "TARGETS", "DemoResult", "run_demo"]
