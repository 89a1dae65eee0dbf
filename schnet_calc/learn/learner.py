"""One run of the loop: its state, its stages, and what is done already."""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

import ase

from schnet_calc.data import Split
from schnet_calc.folders import check_same, replace_json
from schnet_calc.learn.doubt import Judge
from schnet_calc.learn.dynamics import Exploration, Say, explore
from schnet_calc.learn.labelling import Progress, Reference
from schnet_calc.learn.proof import (
    LastDynamics,
    check_frequencies,
    check_on_dynamics,
    check_stability,
    try_on_dynamics,
)
from schnet_calc.learn.result import LearnResult, Round, after_round, before_training, committee_text
from schnet_calc.learn.settings import GRADE, LearnSettings
from schnet_calc.learn.start import Minimum, find_minima, label_start_set
from schnet_calc.learn.store import DOUBT, FAILED, PLANNED, TRAINED_ON, LabelStore
from schnet_calc.learn.training import FRAMES, SPLIT, train_committee, training_config, write_data
from schnet_calc.simulate.records import describe

MOST_AT_START = 0.6
"""Share of the budget that the first training may take."""
STATE, LABELS, COMMITTEE = "learn.json", "labels.db", "committee.txt"


class Learner:
    """A run; its state is in one file, replaced after every stage."""

    def __init__(
        self,
        starts: Sequence[ase.Atoms],
        theory: str,
        directory: Path,
        settings: LearnSettings,
        resume: bool,
        progress: Progress,
        say: Say,
    ) -> None:
        self.starts, self.theory, self.directory, self.settings = starts, theory, directory, settings
        self.progress, self.say = progress, say
        self.executor: Executor | None = None
        """What trains the committee's members, if not processes of this machine."""
        state = directory / STATE
        if state.exists() and not resume:
            raise FileExistsError(f"{directory} holds a run: resume it or choose another folder")
        identity = {"reference": theory, "starts": [describe(a) for a in starts]}
        if state.exists():
            self.state = json.loads(state.read_text())
            check_same(directory, self.state["settings"], settings.decisive())
            for name, value in identity.items():
                if self.state[name] != value:
                    raise ValueError(f"the run in {directory} has other {name} than these")
        else:
            self.state = {**identity, "rounds": [], "seconds": {}, "result": None}
        self.state["settings"] = settings.to_dict()
        self.store = LabelStore(directory / LABELS)
        self._save()

    @property
    def rounds(self) -> list[Round]:
        """What is finished."""
        return [Round(**v) for v in self.state["rounds"]]

    def run(self, reference: Reference) -> LearnResult:
        """Do all that is not done yet."""
        with self._timed("labels"):
            reference.work()
            minima = find_minima(self.starts, reference, self.settings, self.say)
            # Once and for all: a run that goes on with another budget has the same beginning.
            most = int(MOST_AT_START * self.settings.budget) // len(minima)
            count = self.state.setdefault("start", min(self.settings.start, most))
            self._save()
            label_start_set(minima, count, reference, self.settings, self.directory, self.say)
        self._estimate()
        self._reopen()
        while True:
            while not self._enough():
                self._round(minima, reference)
            result = self._finish(minima, reference)
            if self._enough():  # the proof has not found more than the trial had
                return result

    def _round(self, minima: Sequence[Minimum], reference: Reference) -> None:
        """Train, run dynamics, and label what the next round will learn from."""
        starts = [m.atoms for m in minima]
        number = len(self.state["rounds"])
        if number and not self._asked(number - 1):  # its proof was worse than its trial
            last = self.rounds[-1]
            self._ask(last, self._explore(last, starts), reference)
        found = self._train_and_look(number)
        explored = self._explore(found, starts)
        self._try(found, starts, reference)
        self._choose(found, explored, reference)

    def _folder(self, number: int) -> Path:
        return self.directory / f"round_{number}"

    def _models(self, number: int) -> list[Path]:
        return [self._folder(number) / f"member_{k}" / "model.pt" for k in range(self.settings.members)]

    def _enough(self) -> bool:
        """Whether the last round was confident, or could not be followed by another one."""
        done = self.rounds
        if not done:
            return False
        settings, last = self.settings, done[-1]
        if last.confident(settings.accuracy) or last.number + 1 >= settings.rounds:
            return True
        # Labels that a round has asked for are planned before it is finished.
        return self.store.count(kinds=TRAINED_ON) <= last.labels

    def _reopen(self) -> None:
        """Take back the last round where it was the last for want of rounds or budget, and there is more now.

        Its models and its dynamics are there: only the choice of new labels is made anew.
        """
        done, settings = self.rounds, self.settings
        if not done or done[-1].confident(settings.accuracy):
            return
        labels = self.store.count(kinds=TRAINED_ON)
        unused = labels > done[-1].labels
        if not unused and labels < settings.budget and done[-1].number + 1 < settings.rounds:
            self.state["rounds"].pop()
            self._save()

    def _train_and_look(self, number: int) -> Round:
        """Train on all labels there are, and calibrate doubt on those held out."""
        folder = self._folder(number)
        folder.mkdir(exist_ok=True)
        labelled = self.store.labelled(before_round=number)
        before = self._models(number - 1) if number else []
        with self._timed("training"):
            if not (folder / FRAMES).exists():
                hottest = self.settings.heat * self.settings.temperature
                write_data(labelled, folder, self.theory, hottest)
            config = training_config(folder, labelled, self.settings, further=bool(before))
            models = train_committee(
                config,
                folder,
                before,
                self.settings.members,
                lambda stage, done, most, note: self.progress(stage, done, most, f"round {number}, {note}"),
                self.executor,
            )
            held_out = [labelled[int(k)] for k in Split.load(folder / SPLIT).validation]
            known = Judge(models).calibrate(held_out)
        limit = known.limit(self.settings.accuracy)
        by_grade = self.settings.choose == GRADE
        doubt = "a grade of one" if by_grade else f"{1e3 * limit:.0f} meV/Å of disagreement"
        self.say(
            f"round {number}: {len(labelled)} labels, validation error {1e3 * known.force_mae:.1f} meV/Å, "
            f"doubt from {doubt} on"
        )
        return Round(
            number,
            len(labelled),
            self.store.count(),
            known.force_mae,
            known.spread,
            known.ratio,
            known.correlation,
            limit,
        )

    def _explore(self, found: Round, starts: Sequence[ase.Atoms]) -> Exploration:
        with self._timed("dynamics"):
            folder, models = self._folder(found.number), self._models(found.number)
            explored = explore(models, starts, self.settings, found.limit, folder, self.progress, self.say)
        if not explored.doubtful and not explored.calm:
            raise RuntimeError(f"the dynamics in {folder} left no frames; its logs are there")
        found.seen, found.doubtful = explored.seen, len(explored.doubtful)
        found.complete = explored.complete
        found.example = explored.doubtful[0].info["doubt"] if explored.doubtful else ""
        self.say(
            f"round {found.number}: {found.doubtful} of {found.seen} frames in doubt"
            + (f", such as: {found.example}" if found.example else "")
        )
        return explored

    def _try(self, found: Round, starts: Sequence[ase.Atoms], reference: Reference) -> None:
        """Find the errors on dynamics that was without doubt, where another round could learn from them."""
        settings = self.settings
        if not (settings.accuracy and found.calm) or found.number + 1 >= settings.rounds:
            return
        left = settings.budget - found.labels  # as before any label of this round, resumed or not
        folder, models = self._folder(found.number), self._models(found.number)
        reference.round = found.number
        with self._timed("labels"):
            dynamics = LastDynamics(starts, settings, folder, reference, self.say)
            found.own_mae = try_on_dynamics(models, dynamics, found.number, left)
        if found.own_mae is not None:
            self.say(f"round {found.number}: error on its own dynamics {1e3 * found.own_mae:.1f} meV/Å")

    def _choose(self, found: Round, explored: Exploration, reference: Reference) -> None:
        """Label what the next round will learn from, then count this one as done."""
        last = found.confident(self.settings.accuracy) or found.number + 1 >= self.settings.rounds
        if not last:
            self._ask(found, explored, reference)
        spent = {k: v for k, v in self.state["seconds"].items() if k != "proof"}
        found.seconds = {k: round(max(v - self._before(k), 0.0), 2) for k, v in spent.items()}
        self.state["rounds"].append(vars(found))
        self._save()
        minutes = ", ".join(f"{name} {seconds / 60:.1f}" for name, seconds in found.seconds.items())
        self.say(f"round {found.number} took {sum(found.seconds.values()) / 60:.1f} min: {minutes}")
        if not last:
            self.say(after_round(self.rounds, self.settings, sum(self.state["seconds"].values())))

    def _asked(self, number: int) -> bool:
        """Whether labels were chosen from the dynamics of a round."""
        return any(e.kind == DOUBT and e.round == number for e in self.store.entries.values())

    def _ask(self, found: Round, explored: Exploration, reference: Reference) -> None:
        """Label what the dynamics of a round has shown, unless an interrupted run has chosen already."""
        if self._asked(found.number):
            return
        left = self.settings.budget - self.store.count(kinds=TRAINED_ON)
        # More each time: a tenth more labels would change nothing, and trainings take time, too.
        count = min(left, max(self.settings.batch, found.labels // 2))
        reference.round = found.number
        with self._timed("labels"):
            reference.label(explored.worth_a_label(self.store.labelled(), count), DOUBT)

    def _before(self, stage: str) -> float:
        """Seconds of a stage in the rounds before."""
        return float(sum(r["seconds"].get(stage, 0.0) for r in self.state["rounds"]))

    def _estimate(self) -> None:
        """Say what is known of the time that all this takes."""
        each = self.store.seconds / max(self.store.count(), 1)
        left = max(self.settings.budget - self.store.count(kinds=TRAINED_ON), 0)
        self.say(before_training(self.settings, left, each))

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            seconds = self.state["seconds"]
            seconds[stage] = round(seconds.get(stage, 0.0) + time.perf_counter() - started, 3)
            self._save()

    def _save(self) -> None:
        replace_json(self.directory / STATE, self.state)

    def _finish(self, minima: Sequence[Minimum], reference: Reference) -> LearnResult:
        """Prove what the last round is worth, and put its models where they are easy to find."""
        number = len(self.state["rounds"]) - 1
        folder, models = self._folder(number), []
        for k, path in enumerate(self._models(number)):
            models.append(self.directory / f"model_{k}.pt")
            shutil.copyfile(path, models[-1])
        (self.directory / COMMITTEE).write_text(committee_text(models) + "\n")
        with self._timed("proof"):
            starts = [m.atoms for m in minima]
            every = [self._models(k) for k in range(number + 1)]
            last = LastDynamics(starts, self.settings, folder, reference, self.say)
            dynamics = check_on_dynamics(every, last, self.rounds[-1].limit)
            proof = {
                "dynamics": dynamics,
                "stability": check_stability(
                    models, starts[0], self.settings, folder / "nve", self.progress
                ),
                "frequencies": check_frequencies(models, minima[0], self.theory, self.directory),
            }
        assert not self.store.count(PLANNED)
        error = dynamics.get("force_mae_mev_ang")
        if error is not None and self.rounds[-1].calm:
            self.state["rounds"][-1]["own_mae"] = error / 1e3
            self.say(f"proof: error on its own dynamics {error:.1f} meV/Å")
        result = LearnResult(
            directory=self.directory,
            models=models,
            rounds=self.rounds,
            trusted=self.rounds[-1].confident(self.settings.accuracy),
            labels=self.rounds[-1].labels,
            calculations=self.store.count(),
            failures=self.store.count(FAILED),
            proof=proof,
            seconds=self.state["seconds"],
        )
        self.state["result"] = result.to_dict()
        self._save()
        return result
