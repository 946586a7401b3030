"""The models of the page: each is loaded once, in whatever thread needs it first, and one is at work at a time."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import cache, partial
from typing import Any

from omegaconf import DictConfig

from kvw.config.schema import plain
from kvw.errors import KvwError
from kvw.fitness.speaker import SpeakerEncoder
from kvw.runtime.environment import pick_device
from kvw.speech import select
from kvw.speech.kokoro import sources
from kvw.speech.synthesizer import Synthesizer
from kvw.tasks.adjust import changer
from kvw.tasks.bank import load_bank_of
from kvw.tasks.bank import owner as owner_of
from kvw.tasks.prepare import synth_node
from kvw.tasks.speak import synthesizer
from kvw.types import EMBEDDED, KOKORO, Voice


class Models:
    """The synthesisers, the speaker encoder and the stock voices.

    Args:
        cfg: the config that the page was started with.

    Attributes:
        at_work: to be held by whoever lets a model work, as each uses all cores. Whoever needs a model gets it before
            that: else a recording could not be checked while Kokoro is loaded.
        bank: the stock voices that a search with the synthesiser ``kokoro`` or ``embedded`` has, by name.
        changer: what changes voices of ``kokoro`` or ``embedded``; whoever asks holds ``at_work``.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self._cfg = cfg
        self.at_work = threading.Lock()
        self._loading_speaker, self._loading_encoder = threading.Lock(), threading.Lock()
        self._speaker = cache(partial(synthesizer, cfg))
        self._in_language = cache(lambda owner, letter: self._speaker(owner).in_language(letter))
        self._encoder = cache(partial(encoder_of, cfg))
        self.bank = cache(partial(bank_of, cfg))
        self.changer = cache(lambda owner: changer(cfg, self.speaker(owner), self.encoder()))

    def speaker(self, owner: str, letter: str | None = None) -> Synthesizer:
        """The synthesiser of the voices of ``kokoro`` or ``embedded``.

        Args:
            owner: whose voices it speaks.
            letter: Kokoro's, of the language of texts; None for the config's.

        Raises:
            KvwError: the config chooses another one, or its files, or a package for the language, are missing.
        """
        with self._loading_speaker:
            if letter in (None, self._cfg.language.letter):
                return self._speaker(owner)
            return self._in_language(owner, letter)

    def encoder(self) -> SpeakerEncoder:
        """The speaker encoder."""
        with self._loading_encoder:
            return self._encoder()

    def searchers(self) -> str:
        """Whose voices a search would speak with here: ``kokoro`` or ``embedded``; weights may be fetched for that.

        Raises:
            KvwError: weights are given, and their configuration is nowhere.
        """
        return owner_of(searchers_node(self._cfg))

    def warm_up(self) -> None:
        """Loads what the first recording will need; fetches nothing, and leaves errors to whoever needs a model."""
        with suppress(KvwError, OSError):
            self.encoder()
            node = plain(self._cfg.synth)
            if node["_target_"] == select.EMBEDDED:
                self.speaker(EMBEDDED)
            elif sources.find(node.get("model"), node.get("config"), fetch=False):
                self.speaker(KOKORO)


def searchers_node(cfg: DictConfig) -> dict[str, Any]:
    """The config node of the synthesiser that a search would take; the hub is asked only where no weights are here."""
    node: dict[str, Any] = plain(cfg.synth)
    if node["_target_"] != select.AUTOMATIC:
        return node
    if sources.find(node.get("model"), node.get("config"), fetch=False):
        return select.of_owner(node, KOKORO)
    return synth_node(cfg)


def bank_of(cfg: DictConfig, owner: str) -> dict[str, Voice]:
    """The stock voices that a search with a synthesiser has.

    Raises:
        KvwError: as :func:`kvw.tasks.bank.load_bank_of`.
    """
    return load_bank_of(cfg, select.of_owner(plain(cfg.synth), owner))


def encoder_of(cfg: DictConfig) -> SpeakerEncoder:
    """The speaker encoder; loading takes seconds."""
    return SpeakerEncoder(pick_device(cfg.device))
