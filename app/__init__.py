"""The web page: mark an object on one photo, drop others, look, download the mattes.

It sees the package `icm` through its facade alone.
"""
