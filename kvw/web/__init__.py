"""The web page: ``task=web``.

Read :mod:`kvw.web.app` first. :mod:`kvw.web.service` has what the page can do, :mod:`kvw.web.page` its looks, and
:mod:`kvw.web.guard` stands before both.
"""
