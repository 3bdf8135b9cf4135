"""The errors that prevent an analysis."""

from analysis.command_line import UserError


class AnalysisError(UserError):
    """The message says what happened and what to do next."""


class VmcoreUnreadable(AnalysisError):
    """The file does not open as a kernel dump."""


class DebuginfoNotFound(AnalysisError):
    """No debuginfo of exactly that kernel."""


class SymbolsMismatched(AnalysisError):
    """The debuginfo is of another build of the kernel."""
