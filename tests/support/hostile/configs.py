"""Config nodes and saved configs of strangers."""

from __future__ import annotations

from typing import Any

GATE = {"_target_": "kvw.fitness.rules.Margin", "margin": 0.9}


COHERENT = {"_target_": "kvw.spaces.offset.Coherent", "freeze": None}


# fmt: off
TARGETS = (
    "os.system", "builtins.eval", "builtins.exec", "subprocess.run", "subprocess.Popen", "shutil.rmtree",
    "pty.spawn", "importlib.import_module", "functools.partial", "operator.attrgetter", "hydra.utils.get_object",
    "numpy.load", "hydra.utils.instantiate", "hydra._internal.utils._locate", "omegaconf.OmegaConf.load",
    "torch.load", "os", "kvw.runtime.files.write_whole", "kvw.cli.main.entry", "kvw.cli.main.main",
    "kvw.cli.main.invoke", "kvw.runtime.hub.fetch", "kvw.voices.download.fetch_voices",
    "kvw.speech.embedded.espeak_child.main", "kvw.speech.select.automatic", "kvw.runs.store.Store",
    "kvw.tasks.destinations.FolderDestination", "kvw.tasks.destinations.PackDestination", "kvw.cli.sweep.Sweep",
    "kvw.cli.main.Console", "kvw.fitness.background.Scorers", "kvw.audio.write.write_audio",
    "kvw.config.nodes.build", "kvw.voices.files.save_voice", "kvw.executors.processes.ProcessExecutor",
    "kvw.runs.artifacts.Improvements", "kvw.testing.check_strategy", "kvw.errors.KvwError.__init__.__globals__",
    "kvw.errors.KvwError", "kvw.config.nodes.partial", "kvw.config.nodes.importlib", "kvw.executors.local.os.system",
    "kvw.executors.local.os", "strategies.cma.np.load", "strategies.cma.np", "strategies.cma.Any",
    "strategies.cma.deap_random", "strategies.cma.CMA.__init__", "strategies.cma.CMA.__class__", "strategies.cma",
    "strategies", "strategies.", "strategies..cma.CMA", ".strategies.cma.CMA", "strategies.cma.CMA.", "kvw", "kvw.",
    "", "strategies.cma.CMA\n", " strategies.cma.CMA", "strategies.cma.CMA\0", "strategies/cma.CMA",
    "strategies.cma:CMA", "strategies.__init__.os", "strategies.__loader__", "strategies.cma.__builtins__",
    "strategies._x.Y", "kvwx.gate.Margin", "strategiesx.cma.CMA", "stratеgies.cma.CMA", "ｓtrategies.cma.CMA",
    "strategies.cma.ＣMA", "KVW.gate.Margin", "???", "${oc.env:HOME}", "strategies.${oc.env:HOME}.X",
    "strategies.nothing.At", "strategies.cma.Nothing", "../strategies.cma.CMA",
    "kvw.speech.kokoro.synthesizer.hub.fetch", "kvw.spaces.base.np.load", "kvw.fitness.rules.Rule.__class__",
    "a" * 10_000, "strategies." + "a." * 5000 + "B",
)
# fmt: on
"""Names that no place may have, but for one: ``synth`` may be ``automatic``."""


PLACES = ("task", "space", "strategy", "synth", "fitness", "executor", "transcriber")


ODD_NAMES: tuple[Any, ...] = (
    None,
    0,
    True,
    1.5,
    b"strategies.cma.CMA",
    [],
    ["os.system"],
    {},
    {"_target_": "os.system"},
)


def nest(value: Any, depth: int, name: str | None = None) -> Any:
    """``value`` in so many lists, or dicts with the key ``name``."""
    for _ in range(depth):
        value = [value] if name is None else {name: value}
    return value


def nodes() -> dict[str, tuple[str, Any]]:
    """Config nodes that are refused, with their keys."""
    evil = {"_target_": "os.system", "command": "touch evil"}
    fitness = {"_target_": "kvw.fitness.hybrid.HybridFitness"}
    found: dict[str, tuple[str, Any]] = {}
    for place in PLACES:
        for target in TARGETS:
            if place == "executor" and target == "kvw.executors.processes.ProcessExecutor":
                continue
            if place == "synth" and target == "kvw.speech.select.automatic":
                continue
            found[f"{place}: {target!a:.60}"] = (place, {"_target_": target})
        for odd in (*ODD_NAMES, float("nan")):
            found[f"{place}: a name {odd!r}"] = (place, {"_target_": odd})
        for node in (None, [], "kvw.fitness.rules.Margin", 5, [COHERENT], {}):
            found[f"{place}: {node!r} for a node"] = (place, node)
    others = {"space": COHERENT, "executor": {"_target_": "kvw.executors.local.LocalExecutor"}, "fitness": fitness}
    for place, node in others.items():
        for key, value in {
            "_args_": [evil],
            "_partial_": True,
            "_recursive_": False,
            "_convert_": "object",
            "_target": "os.system",
            "__init__": 1,
            "self": 1,
            "__class__": "x",
            "no_such": 1,
            "": 1,
            "a\nb": 1,
            "\x1b[2J": 1,
        }.items():
            found[f"{place}: {key!r}"] = (place, {**node, key: value})
    within = {
        "a node": evil,
        "in a list": [evil],
        "in a list of lists": [[[evil]]],
        "in a dict": {"a": {"b": evil}},
        "behind a good one": [GATE, evil],
        "without recursion": {"_recursive_": False, "x": evil},
        "in a good one": {**GATE, "margin": evil},
        "partial": {**GATE, "_partial_": True},
        "positional": {"_target_": "kvw.fitness.rules.Margin", "_args_": [0.9]},
        "a whole fitness": {"_target_": "kvw.fitness.hybrid.HybridFitness", "weights": {}},
        "another place's": COHERENT,
        "a function of the strategies": {"_target_": "strategies.cma.deap_random", "rng": 1},
        "a function that fetches": {"_target_": "kvw.speech.select.automatic", "voice_folder": "/"},
        "an executor": {"_target_": "kvw.executors.processes.ProcessExecutor", "fitness": "x"},
        "5000 levels of lists": nest(evil, 5000),
        "5000 levels of dicts": nest(evil, 5000, "a"),
        "40 levels": nest(1, 40),
        "_args_ of nobody": {"_args_": [evil]},
    }
    for name, value in within.items():
        found[f"fitness.gates: {name}"] = ("fitness", {**fitness, "gates": {"target": value}})
    found["stages' space"] = ("stages.os.system.space", {"_target_": "kvw.runtime.files.write_whole"})
    found["synth within synth"] = (
        "synth",
        {
            "_target_": "kvw.speech.embedded.synthesizer.EmbeddedSynthesizer",
            "device": {"_target_": "kvw.speech.select.automatic", "voice_folder": "/"},
        },
    )
    found["task: the config itself"] = ("task", {"_target_": "kvw.tasks.speak.speak", "cfg": 1, "speed": 1.0})
    found["task: a class"] = ("task", {"_target_": "strategies.cma.CMA"})
    found["task: another function of the config"] = ("task", {"_target_": "kvw.tasks.export.found"})
    found["task: one that takes more"] = ("task", {"_target_": "kvw.tasks.search.new_run"})
    found["task: a type"] = ("task", {"_target_": "kvw.tasks.speak.speak", "speed": "fast"})
    del found["fitness.gates: _args_ of nobody"]  # a dict of settings may have any keys
    return found


GOOD_NODES = {
    "a space": ("space", COHERENT),
    "a stage's space": ("stages.refine.space", COHERENT),
    "a strategy": ("strategy", {"_target_": "strategies.random_search.RandomSearch", "sigma": 1.0}),
    "a strategy of parts": (
        "strategy",
        {"_target_": "strategies.genetic.Genetic", "mutation": {"_target_": "kvw.search.operators.Mutation"}},
    ),
    "gates": ("fitness", {"_target_": "kvw.fitness.hybrid.HybridFitness", "gates": {"target": GATE, "self": None}}),
    "synth=auto": ("synth", {"_target_": "kvw.speech.select.automatic", "model": None}),
    "a huge list": ("strategy", {"_target_": "strategies.random_walk.RandomWalk", "diversity": [0.1] * 200_000}),
    "a text that looks live": (
        "fitness",
        {"_target_": "kvw.fitness.hybrid.HybridFitness", "probe_text": "${oc.env:HOME}"},
    ),
}


def saved_configs(good: dict[str, Any]) -> dict[str, Any]:
    """Configs of runs that are refused as they are read, made of a good one."""
    changes: dict[str, dict[str, Any]] = {
        "an unknown key": {"hydra": {"run": {"dir": "/"}}},
        "callbacks": {"hydra.callbacks": {}},
        "a target of its own": {"_target_": "os.system"},
        "a number in text": {"seed": "1"},
        "an interpolation for a number": {"seed": "${oc.decode:${oc.env:SEED}}"},
        "an interpolation for a truth value": {"dry_run": "${oc.env:X,true}"},
        "true for a number": {"step_limit": True},
        "a list for a text": {"target_text": ["a"]},
        "null for a text": {"other_text": None},
        "an object": {"task": object()},
        "bytes": {"target_audio": b"x"},
        "a tuple": {"stages": (1, 2)},
        "a number for a key": {"stages": {1: 2}},
        "deep lists": {"stages": nest(1, 5000)},
        "deep dicts": {"stages": nest(1, 5000, "a")},
        "long": {"stages": [0] * 20_000},
        "many interpolations": {"target_text": "${" * 20_000},
        "a huge number": {"minutes": 10**400},
        "a key on two lines": {"a\nb": 1},
    }
    return {
        **{name: {**good, **change} for name, change in changes.items()},
        "no seed": {key: value for key, value in good.items() if key != "seed"},
        "nothing": {},
        "a list": [good],
        "null": None,
    }


# fmt: off
LIVE = (
    "${oc.env:HOME}", r"\${oc.env:HOME}", r"\\${oc.env:HOME}", "${seed}", "${.seed}", "${..x}", "${oc.decode:'[1]'}",
    "${", "${hydra:runtime.cwd}", "${oc.create:{a:1}}", "${oc.select:seed}", "a${oc.env:HOME}b\\", "???", "????",
    "${now:%Y}", "null", "1", "[a,b]", "{a: b}", "'", '"', "\\", "\\\\", "$", "${}", "${a}${b}", "\ud800${x}",
    "\0${x}", "é${'}", "",
)
# fmt: on
"""Texts that OmegaConf would do something about."""
