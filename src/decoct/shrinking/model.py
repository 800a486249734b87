"""The user's model: which learner the options mean, and what is taken where they say nothing."""

from contextlib import suppress
from dataclasses import dataclass

from decoct.core.errors import DecoctError, UsageError
from decoct.core.spec import suggest
from decoct.nets import backbone, zoo
from decoct.nets.standard import TIMM
from decoct.nets.student import Student
from decoct.shrinking.learner import Learner
from decoct.shrinking.learners.fine_tune import FineTune
from decoct.shrinking.learners.probe import Probe
from decoct.shrinking.learners.scratch import Scratch
from decoct.shrinking.pool import Pool

SCRATCH, FINETUNE, PROBE = PROTOCOLS = ("scratch", "finetune", "probe")
FROZEN = ("dinov2_s", "dinov2_b", "clip")  # in the order in which they are looked for: small ones first


@dataclass(frozen=True)
class Model:
    """What is trained.

    Attributes:
        protocol: one of ``PROTOCOLS``.
        student: name of a net; None for one that fits the images.
        extractor: whose features ``probe`` looks at; None for the other protocols.
    """

    protocol: str
    student: str | None
    extractor: str | None

    @classmethod
    def of(cls, protocol: str | None, student: str | None, extractor: str | None) -> "Model":
        """What the options mean.

        Raises:
            UsageError: unknown words, or words that do not go together.
        """
        if protocol is not None and protocol not in PROTOCOLS:
            raise UsageError(f"--protocol is {', '.join(PROTOCOLS)}, not '{protocol}'.{suggest(protocol, PROTOCOLS)}")
        if protocol == PROBE and student is not None:
            raise UsageError("a probe is a linear classifier: name the frozen net by --extractor, and no --student")
        if protocol in (SCRATCH, FINETUNE) and extractor is not None:
            raise UsageError(f"--extractor is for --protocol probe; {protocol} trains the net of --student")
        if student is not None and extractor is not None:
            raise UsageError("--student is trained and --extractor is frozen: give one of them")
        if protocol == FINETUNE and student is None:
            raise UsageError("--protocol finetune takes the net to tune: --student timm:NAME, or package.module:make")
        if protocol is None and student is None:
            extractor = extractor or at_hand()
        if protocol == PROBE and extractor is None:
            extractor = at_hand()
            if extractor is None:
                raise UsageError(
                    "no pretrained weights are at hand for a probe: name some by --extractor, such as clip or "
                    "timm:NAME@FILE, or pip install 'decoct[offline]'"
                )
        named = None if student is None else Student.of(student).address  # for workers, whose folder is another
        return cls(protocol or (PROBE if extractor else SCRATCH), named, extractor)

    def side(self, device: str) -> int:
        """The largest side of images where none is said: a net that nobody named is to learn in minutes on a CPU."""
        return 32 if self.protocol == SCRATCH and self.student is None and device == "cpu" else 64

    def learner(self, pool: Pool, device: str) -> Learner:
        """The learner for the images that were read."""
        if self.protocol == PROBE:
            return Probe(str(pool.facts["extractor"]))
        student = self.student or zoo.student(pool.size, width=16 if device == "cpu" else None)
        if self.protocol == FINETUNE:
            return FineTune(student, device=device)
        return Scratch(student, device=device)


def at_hand() -> str | None:
    """A pretrained net whose weights are in a cache, or come in the installed package; None if there is none."""
    for name in FROZEN:
        with suppress(DecoctError, UsageError):
            if backbone.kept(name) is not None:
                return name
    return TIMM + backbone.PACKAGED if backbone.packaged(backbone.PACKAGED) is not None else None
