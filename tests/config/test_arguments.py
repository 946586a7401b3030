"""Free text, paths and KVoiceWalk's arguments on the command line."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from kvw.cli.main import invoke
from kvw.config.arguments import quoted, with_task
from kvw.config.invocation import compose
from kvw.config.paths import PATHS
from kvw.config.schema import plain

SENTENCE = (
    "The old lighthouse keeper never imagined that one day he'd be guiding ships from the comfort of his living room, "
    "but with modern technology and an array of cameras, he did just that, sipping tea while the storm raged outside "
    "and gulls shrieked overhead."
)


AWKWARD = [
    SENTENCE,
    "my clip (1).wav",
    "a(2)+b(1)",
    "C:\\voices\\new\\",
    "it costs ${5} or \\${x}",
    "\\",
    "'\\'",
    '"quoted"',
    "[list, of] {things: 1}",
    "a=b,c=d",
    "two\nlines",
    "?!",
    "????",
    "true",
    "12",
    " spaces ",
    "\\\n",
    "",
]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).filter(lambda text: text != "???"))
@settings(max_examples=300, deadline=None)
def test_any_text_arrives_as_it_was_typed(text):
    (argument,) = quoted([f"target_text={text}"])
    value = OverridesParser.create().parse_override(argument).value()
    expected = None if text == "null" else text
    assert OmegaConf.create({"target_text": value}).target_text == expected


@pytest.mark.parametrize("argument", ["target_text=???", "target_audio=[a.wav,???]"])
def test_omegaconfs_mark_of_a_missing_value_is_refused_as_a_text(argument, capsys):
    assert invoke([argument]) == 2
    assert "type a text with words" in capsys.readouterr().err


for awkward in AWKWARD:
    test_any_text_arrives_as_it_was_typed = example(awkward)(test_any_text_arrives_as_it_was_typed)


def test_text_and_paths_survive_the_whole_composition():
    keys = ["target_text", "target_audio", "other_text", "starting_voice", "synth.model"]
    for start in range(0, len(AWKWARD), len(keys)):  # a composition takes a third of a second
        given_texts = dict(zip(keys, AWKWARD[start:], strict=False))
        cfg = plain(compose(*quoted([f"{key}={text}" for key, text in given_texts.items()])).cfg)
        assert {key: cfg["synth"]["model"] if "." in key else cfg[key] for key in given_texts} == given_texts


def test_the_other_spelling_of_the_voice_folder_wins_when_given():
    assert compose(*quoted(["voice_folder=a b"])).cfg.voices_folder == "a b"
    assert compose(*quoted(["voices_folder=c, d"])).cfg.voices_folder == "c, d"


def test_a_tilde_is_the_home_folder_in_every_path_and_nowhere_else(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    keys = sorted(key for key in PATHS if not key.startswith("task."))
    given = [*(f"{key}=~/a, ${{b}} c" for key in keys), "target_text=~/a", "hydra.run.dir=~/out, and in"]
    found = compose(*quoted(given))
    for key in keys:
        assert OmegaConf.select(found.cfg, key) == f"{tmp_path}/a, ${{b}} c", key
    assert found.cfg.target_text == "~/a"
    assert found.outputs == tmp_path / "out, and in"
    for task, key in (("export", "out"), ("compare", "recordings"), ("compare", "folder"), ("compare", "heard")):
        assert compose(*quoted([f"task={task}", f"task.{key}=~/a"])).cfg.task[key] == f"{tmp_path}/a", key
    several = compose(*quoted(["target_audio=[~/a.wav,b/~.wav]"])).cfg
    assert list(several.target_audio) == [f"{tmp_path}/a.wav", "b/~.wav"]


def test_values_of_other_keys_stay_hydras_and_a_sweep_can_choose_among_targets():
    assert quoted(["-m", "seed=1,2", "target_audio=choice(a.wav,b.wav)", "starting_voice=null"]) == [
        "-m",
        "seed=1,2",
        "target_audio=choice(a.wav,b.wav)",
        "starting_voice=null",
    ]
    assert quoted(["heldout_audio=[a (1).wav, b.wav]"]) == ["heldout_audio=['a (1).wav','b.wav']"]
    assert quoted(["test_voice=[a(2)+b,c.pt]"]) == ["test_voice=['a(2)+b','c.pt']"]
    assert quoted(["target_audio=choice(1).wav"]) == ["target_audio='choice(1).wav'"]


@pytest.mark.parametrize(
    ("arguments", "typed"),
    [
        (["--target_audio", "a.wav"], "type target_audio=a.wav"),
        (["--target_text", "it's $5"], 'type target_text="it\'s \\$5"'),
        (["--step_limit=5"], "type step_limit=5"),
        (["--target-audio", "my clip.wav"], 'type target_audio="my clip.wav"'),
    ],
)
def test_kvoicewalks_dashes_are_answered_with_what_to_type(arguments, typed, capsys):
    assert invoke(arguments) == 2
    assert typed in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["test_voice=a.pt"], ["test_voice=a.pt", "task=speak"]),
        (["export_bin=True", "test_voice=a.pt"], ["export_bin=True", "test_voice=a.pt", "task=export"]),
        (["transcribe_many=true"], ["transcribe_many=true", "task=transcribe_many"]),
        (["transcribe_many=a b"], ["transcribe_many=true", "target_audio=a b", "task=transcribe_many"]),
        (["export_bin=false", "test_voice=null"], ["export_bin=false", "test_voice=null"]),
        (["test_voice=a.pt", "task=export"], ["test_voice=a.pt", "task=export"]),
        (["seed=1"], ["seed=1"]),
    ],
)
def test_kvoicewalks_arguments_that_stand_for_a_task_choose_it(arguments, expected):
    assert with_task(arguments) == expected
