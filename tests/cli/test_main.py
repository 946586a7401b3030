from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from kvw.cli.main import invoke
from kvw.config.arguments import quoted, with_task
from kvw.config.invocation import compose
from kvw.config.paths import CONF

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
    "true",
    "12",
    " spaces ",
    "\\\n",
    "",
]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
@settings(max_examples=300, deadline=None)
def test_any_text_arrives_as_it_was_typed(text):
    (argument,) = quoted([f"target_text={text}"])
    value = OverridesParser.create().parse_override(argument).value()
    expected = None if text == "null" else text
    assert OmegaConf.create({"target_text": value}).target_text == expected


for awkward in AWKWARD:
    test_any_text_arrives_as_it_was_typed = example(awkward)(test_any_text_arrives_as_it_was_typed)


@pytest.mark.parametrize("key", ["target_text", "target_audio", "other_text", "starting_voice", "synth.model"])
@pytest.mark.parametrize("text", AWKWARD)
def test_text_and_paths_survive_the_whole_composition(key, text):
    cfg = compose(*quoted([f"{key}={text}"])).cfg
    assert (
        OmegaConf.to_container(OmegaConf.select(cfg, key.rpartition(".")[0] or ""), resolve=True)[
            key.rpartition(".")[2]
        ]
        == text
    )


def test_the_other_spelling_of_the_voice_folder_wins_when_given():
    assert compose(*quoted(["voice_folder=a b"])).cfg.voices_folder == "a b"
    assert compose(*quoted(["voices_folder=c, d"])).cfg.voices_folder == "c, d"


def test_kvoicewalks_arguments_have_kvoicewalks_defaults():
    cfg = compose().cfg
    assert (cfg.population_limit, cfg.step_limit, cfg.output_name) == (10, 10_000, "out.wav")
    assert (cfg.voice_folder, cfg.starting_voice, cfg.patience) == ("./voices", None, None)
    assert cfg.other_text.startswith("If you mix vinegar, baking soda, and a bit of dish soap in a tall cylinder,")
    assert cfg.other_text.endswith("volcanic activity on a miniature scale.")


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
    ("arguments", "words"),
    [
        (["stp_limit=3"], ["stp_limit", "did you mean step_limit?"]),
        (["diversity=1"], ["diversity", "did you mean strategy.diversity?"]),
        (["strategy=randomwalk"], ["randomwalk", "did you mean random_walk?"]),
        (["strategy.diversty=1"], ["strategy.diversty", "did you mean strategy.diversity?"]),
        (["strategie=random_walk"], ["strategie", "did you mean strategy?"]),
        (["+strategy.diversty=1"], ["strategy.diversty", "did you mean diversity?"]),
        (["step_limit=many"], ["step_limit", "'many'"]),
        (["step_limit=0"], ["step_limit", "1 or more"]),
        (["strategy.clip=maybe"], ["strategy.clip", "true or false", "'maybe'"]),
        (["strategy.diversity=[1]"], ["strategy.diversity", "two numbers"]),
        (["executor.threads=0"], ["executor.threads", "1 or more"]),
        (["fitness.formula=best"], ["formula", "capped"]),
        (["fitness.gates.target.margin=-1"], ["fitness", "margin"]),
        (["strategy._target_=os.system"], ["strategy._target_", "os.system"]),
        (["strategy._target_=strategies.nothing.At"], ["strategy._target_", "strategies.nothing"]),
        (["fitness.gates.target._target_=subprocess.run"], ["_target_", "subprocess.run"]),
        (["strategy._target_=kvw.tasks.prepare.torch.load"], ["strategy._target_", "kvw.tasks.prepare.torch.load"]),
        (
            ["fitness.gates.target._target_=kvw.tasks.prepare.torch.load"],
            ["fitness.gates.target", "kvw.tasks.prepare.torch.load"],
        ),
        (["fitness.gates.target=0.98"], ["fitness", "gates", "0.98"]),
        (["fitness.weights.target=abc"], ["fitness", "weights", "abc"]),
        (["synth=foo"], ["foo", "auto, embedded, kokoro"]),
        (["target_audio="], ["target_audio"]),
        (["starting_voice="], ["starting_voice"]),
        (["other_text=One and the same.", "target_text=One and the same."], ["other_text", "the same"]),
        (["dry_run=true", "executor.threads=0"], ["executor.threads"]),
        (["language=x"], ["language", "'x'"]),
        (["stop_score=101"], ["stop_score", "(0, 100]"]),
        (["minutes=0"], ["minutes"]),
        (["output_name=../out.wav"], ["output_name", "../out.wav"]),
        (["device=quantum"], ["device", "quantum"]),
        (["device=cuda:7"], ["device", "cuda:7"]),
        (["target_text="], ["target_text"]),
        (["target_text=!!!"], ["'!!!'"]),
        (["target_text=none.txt"], ["target_text", "none.txt"]),
        (["target_audio=none.wav"], ["none.wav"]),
        (["heldout_audio=none.wav"], ["none.wav"]),
        (["starting_voice=none.pt"], ["none.pt"]),
        (["heldout_texts=none.txt"], ["heldout_texts", "none.txt"]),
        (["voice_folder=nowhere"], ["nowhere"]),
        (["seed"], ["seed"]),
        (["seed=-1"], ["seed", "-1"]),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_2_and_writes_nothing(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if "device=cuda:7" in arguments:
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code = invoke(["synth=embedded", "step_limit=1", *arguments])
    err = capsys.readouterr().err
    assert code == 2, err
    (line,) = err.splitlines()
    assert line.startswith("kvw: ")
    assert all(word in line for word in words), line
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_every_problem_is_reported_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.wav").touch()
    arguments = ["target_audio=empty.wav", "target_text=", "population_limit=0", "starting_voice=no.pt", "seed=-2"]
    assert invoke(["synth=embedded", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    for word in ("empty.wav", "target_text", "population_limit", "no.pt", "seed"):
        assert sum(word in line for line in lines) == 1


def test_a_users_strategies_package_that_would_hide_ours_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "__init__.py").touch()
    assert invoke([]) == 2
    assert "__init__.py" in capsys.readouterr().err


def test_an_output_folder_that_can_not_be_written_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").write_text("in the way")
    assert invoke(["synth=embedded", "step_limit=1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "outputs" in line
    assert (tmp_path / "outputs").read_text() == "in the way"


def test_help_is_a_page_of_tasks_choices_arguments_and_examples(tmp_path):
    (tmp_path / "conf" / "strategy").mkdir(parents=True)
    (tmp_path / "conf" / "strategy" / "mine.yaml").write_text(
        "# My own idea. It is a secret.\n_target_: strategies.mine.M\n"
    )
    done = subprocess.run([sys.executable, "-m", "kvw", "--help"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for task in CONF.glob("task/*.yaml"):
        assert any(line.startswith(f"{task.stem} ") for line in lines), task
    assert "mine My own idea." in lines
    assert "Strategies (strategy=NAME)" in lines
    assert any(line.startswith("step_limit=10000 candidates to evaluate") for line in lines)
    assert sum(line.startswith("python -m kvw ") and "=" in line for line in lines) >= 5
    assert max(map(len, done.stdout.splitlines())) <= 120
    assert [path.name for path in tmp_path.iterdir()] == ["conf"]


def test_help_on_a_choice_prints_its_settings_with_their_comments(capsys):
    assert invoke(["--help", "strategy=genetic"]) == 0
    said = capsys.readouterr().out
    assert "size: 24 #" in said and "_target_: strategies.genetic.Genetic" in said


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


def test_help_does_not_wait_for_heavy_imports():
    code = (
        "import sys, kvw.cli.main; print([m for m in ('torch', 'librosa', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_choice_of_every_group_composes_and_has_settings_that_what_it_names_takes():
    from kvw.config.nodes import bound, maker
    from kvw.config.schema import plain
    from kvw.config.stages import make_stage, with_members

    groups = {path.parent.name: [] for path in CONF.glob("*/*.yaml")}
    for path in CONF.glob("*/*.yaml"):
        groups[path.parent.name].append(path.stem)
    assert {"strategy", "space", "synth", "fitness", "executor", "task"} <= set(groups)
    for group, names in groups.items():
        for name in names:
            cfg = compose(f"{group}={name}").cfg
            node = with_members({"strategy": plain(cfg.strategy), "space": plain(cfg.space)}, None)
            if group == "experiment":
                for key, node in plain(cfg.stages).items():
                    make_stage(key, node, f"stages.{key}.")
            elif group == "strategy":
                make_stage(name, node, "")
            elif group == "language":
                assert cfg.language.letter == name
            elif name == "none":
                assert not cfg[group]
            elif name not in ("tensorboard", "ray") or find_spec(name):  # optional packages
                checked = bound if group == "task" else maker  # a task is called with the config, not made
                assert callable(checked(plain(cfg[group]), group))
            assert re.match(r"#\s*\S", (Path(CONF) / group / f"{name}.yaml").read_text()), "opens with a comment"
