"""The server: ``task=serve`` speaks for programs that know OpenAI's interface for speech.

Read :mod:`kvw.serve.app` first. :mod:`kvw.serve.shelf` has the voices, :mod:`kvw.serve.speaker` lets them speak, and
:mod:`kvw.serve.guard` stands before all of them.
"""
