"""The curve of a run, read in pieces."""

import pytest

from kvw.web.curve import Curve


@pytest.mark.long
def test_a_curve_grows_with_its_run_and_is_the_runs(service, outputs):
    (run,) = (one for one in service.runs().values())
    whole = service.curve(run)
    seen = list(run.candidates())
    better = [(one.step + 1, one.evaluation.score) for one in run.improvements(iter(seen))]
    assert [point for point in whole.points if point in better] == better
    assert (whole.last, whole.stopped) == (seen[-1].step, sum(one.evaluation.status == "stopped" for one in seen))

    class Growing:
        def candidates(self, after):
            return iter([one for one in run.candidates(after) if one.step <= after + 5])

    grown = Curve()
    while grown.last < whole.last:
        grown.read(Growing())
    grown.read(run)
    assert grown == whole
