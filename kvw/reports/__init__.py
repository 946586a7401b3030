"""Reports: a run as one page to see and to hear, and the judges that no search ever hears.

Read :mod:`kvw.reports.page` first.
"""
