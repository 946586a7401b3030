"""Reports: a run as one page to see and to hear, and the judges that no search uses.

Read :mod:`kvw.reports.page` first.
"""
