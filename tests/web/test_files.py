"""The files that the page serves."""

import pytest

from kvw.errors import KvwError
from kvw.web.files import Files


def test_of_a_file_that_changes_the_last_two_copies_are_served(tmp_path):
    (tmp_path / "shelf").mkdir()
    files = Files(tmp_path / "shelf")
    source, served = tmp_path / "best.wav", []
    for number in range(5):
        source.write_bytes(b"RIFF" * (number + 1))
        served.append(files.served(source))
        assert files.served(source) == served[-1] and served[-1].read_bytes() == source.read_bytes()
    assert [path.exists() for path in served] == [False, False, False, True, True]
    (tmp_path / "link.wav").symlink_to("/etc/passwd")
    with pytest.raises(KvwError, match="got a link"):
        files.served(tmp_path / "link.wav")
