"""Captioning over HTTP, with a page to try it; and the page on which listeners judge captions.

Its modules need the extra ``serve`` (FastAPI and uvicorn), and are imported by the commands that serve.
"""
