"""Composed configs: kvw's defaults, and every choice of every group."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from kvw.config.invocation import compose
from kvw.config.paths import CONF


def test_kvoicewalks_arguments_have_kvoicewalks_defaults():
    cfg = compose().cfg
    assert (cfg.population_limit, cfg.step_limit, cfg.output_name) == (10, 10_000, "out.wav")
    assert (cfg.voice_folder, cfg.starting_voice, cfg.patience) == ("./voices", None, None)
    assert cfg.other_text.startswith("If you mix vinegar, baking soda, and a bit of dish soap in a tall cylinder,")
    assert cfg.other_text.endswith("volcanic activity on a miniature scale.")


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
