"""check MODEL: parity of prepared model and engines with the original, on seeded inputs and a real photo.

Locked is what every machine must find: what was executed, and figures in steps as coarse as the bounds they keep.
The exact ones, and why a target's engine was not executed, are in ``build/measured/``.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from morphstream.artifact.errors import ModelError, NoEngineError
from morphstream.machine.probe import Machine, probe_machine
from morphstream.machine.select import check_usable
from stages.declare import check_declared
from stages.exclusive import built_together
from stages.files import write_json
from stages.params import Model, TargetOptions, load_params
from stages.parity.compare import Comparison, compare
from stages.parity.engine import why_not
from stages.parity.figures import Figures, coarsen, shortfall, worst
from stages.prepare import prepare_missing
from stages.program import read_arguments, run_program
from stages.workspace import Workspace


def main(workspace: Workspace) -> None:
    """Check one model."""
    (name,) = read_arguments(__doc__, "model")
    params = load_params(workspace.params)
    model = params.model(name)
    check_declared(workspace, f"engines/{model.name}", params)
    prepare_missing(workspace, model)
    check_model(workspace, model, built_together(params), workspace.checked / f"{model.name}.json")


def check_model(workspace: Workspace, model: Model, targets: Mapping[str, TargetOptions], verdict: Path) -> None:
    """Check a model's prepared files and its engines for some targets, and write what every machine must find."""
    machine = probe_machine()
    reasons = {name: reason_not_executed(options, machine) for name, options in targets.items()}
    executed = {name: options for name, options in targets.items() if not reasons[name]}
    comparisons = list(compare(model, executed, workspace))
    for output, count in comparisons[0].unseen.items():
        what = "labels, absent" if output == "labels" else "columns, 0"
        print(f"check {model.name}: {output}: nothing is known of {count} {what} with these inputs", file=sys.stderr)
    write_json(workspace.measured / verdict.relative_to(workspace.build), measured(comparisons, reasons))
    for comparison in comparisons:
        check_comparison(comparison)
    write_json(verdict, locked(comparisons, reasons))


def reason_not_executed(options: TargetOptions, machine: Machine) -> str:
    """Return why a machine can't execute a target's engines; empty where it can."""
    if options.target.precision is None:
        return why_not(options, machine)
    try:
        check_usable(options.target.cache_key, machine)
    except NoEngineError as error:
        return str(error)
    return ""


def check_comparison(comparison: Comparison) -> None:
    """Check a comparison's outputs against its tolerance."""
    for output, figures in comparison.figures.items():
        if seen := shortfall(figures, comparison.tolerance):
            where = f"{comparison.subject} to {comparison.reference}: {output}"
            half = " or precision" if comparison.subject == "fp16" else ""
            own = f", or change {comparison.stated}.tolerance{half}" if comparison.stated else ""
            raise ModelError(f"{where}: {seen}; correct the surgery{own}")


def locked(comparisons: Iterable[Comparison], reasons: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return what machines share: whether each target was executed, and each subject's worst figures, in steps."""
    figures: dict[str, list[Figures]] = {}
    for comparison in comparisons:
        figures.setdefault(comparison.subject, []).extend(comparison.figures.values())
    executed: dict[str, Figures] = {name: {"executed": not reason} for name, reason in reasons.items()}
    passed = {subject: executed.pop(subject, {}) | coarsen(worst(seen)) for subject, seen in figures.items()}
    return passed | executed


def measured(comparisons: Iterable[Comparison], reasons: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """Return what this machine found: exact figures by subject, reference and output, and reasons."""
    found: dict[str, dict[str, object]] = {}
    for comparison in comparisons:
        found.setdefault(comparison.subject, {})[comparison.reference] = {
            output: {**figures, **({"unseen": count} if (count := comparison.unseen.get(output)) else {})}
            for output, figures in comparison.figures.items()
        }
    return found | {name: {"executed": False, "reason": reason} for name, reason in reasons.items() if reason}


if __name__ == "__main__":
    run_program(main, runs_models=True)
