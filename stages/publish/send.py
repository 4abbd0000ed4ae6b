"""Publish in one commit: read the tip, compose, commit if the tip is still the same, or begin again."""

import random
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from morphstream.artifact.errors import FetchError, MorphstreamError
from morphstream.source.hub.attempt import AttemptError
from stages.hub.client import OutrunError
from stages.hub.repository import Repository
from stages.hub.transport import WRITE_TIMEOUT_S
from stages.publish.compose import IncompleteError
from stages.publish.plan import Plan, Tip

_OUTRUN_MAX = 30  # other publishers' commits in a row
_OUTRUN_PAUSES_S = (0.1, 0.2, 0.4, 0.8, 1.6)  # at most, before another attempt; the last one time and again


class Sent(NamedTuple):
    """What was published, and the commit that holds it now."""

    plan: Plan
    commit: str


def send(
    repository: Repository,
    compose: Callable[[Tip], Plan],
    message: Callable[[Plan], str],
    *,
    is_dry: bool,
    private_models: Mapping[str, str],
    expected: str = "",
) -> Sent:
    """Publish what `compose` returns on top of the tip; make no commit where the tip holds it already.

    A commit that failed may have been made: the next attempt begins with what the tip holds then. Large files that
    were uploaded are found there.

    Args:
        repository: Where to publish; created, private, where there is none.
        compose: Returns the publication on top of a tip; called again when another publisher was faster.
        message: Returns the commit's message.
        is_dry: Change nothing.
        private_models: Licence of each model that may be published in a private repository alone.
        expected: The identity of the only plan that is published; empty for any.
    """
    outrun, retry = 0, repository.retry(repository.name, WRITE_TIMEOUT_S)
    while True:
        try:
            plan = compose(_tip(repository, is_dry=is_dry, private_models=private_models))
            _check_plan(plan, expected)
            if is_dry or plan.is_empty:
                return Sent(plan, plan.tip.commit)
            return Sent(plan, repository.commit(plan.tip.commit, message(plan), plan.files, plan.kept, plan.deleted))
        except OutrunError:
            outrun += 1
            if outrun > _OUTRUN_MAX:
                raise
            time.sleep(random.uniform(0, _OUTRUN_PAUSES_S[min(outrun, len(_OUTRUN_PAUSES_S)) - 1]))
        except IncompleteError:  # as while the listing is older than its tip
            if not retry.pause():
                raise
        except AttemptError as error:
            retry.wait(error)


def _check_plan(plan: Plan, expected: str) -> None:
    if expected and plan.identity != expected:
        seen = f"seen {plan.identity}: the tip or build/ changed since"
        raise MorphstreamError(f"plan: expected {expected}, as was shown, {seen}; look at it with --dry-run")


def _tip(repository: Repository, *, is_dry: bool, private_models: Mapping[str, str]) -> Tip:
    info = repository.look()
    if info is None and is_dry:
        return Tip(commit="", held={}, read=lambda _: None)
    if info is None:
        repository.create()
        if (info := repository.look()) is None:
            seen = "seen one that is there and hidden from the token in use; use another"
            raise FetchError(f"{repository.name}: expected a repository to publish in, {seen}")
    if private_models and not info.is_private:
        model, licence = min(private_models.items())
        others = f" and {len(private_models) - 1} more" if len(private_models) > 1 else ""
        expected = f"expected a private repository, as {model}{others} may not be published ({licence})"
        raise FetchError(f"{repository.name}: {expected}, seen a public one; make it private, or see redistribution")
    commit = info.commit
    held = repository.files(commit)
    if info.paths is not None and info.paths != set(held):
        seen = f"seen one that differs in {min(info.paths ^ set(held))}; run it again later"
        raise IncompleteError(f"{repository.name}@{commit[:7]}: expected a listing of that commit, {seen}")
    return Tip.of(repository, commit, held)
