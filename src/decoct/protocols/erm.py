"""Hard labels and cross-entropy: empirical risk minimisation."""

from decoct.core.interfaces import Task
from decoct.training.recipe import FromScratch, Recipe


class ERM(FromScratch):
    """Hard labels and cross-entropy; AdamW 1e-3, cosine to 0, 300 epochs, crop and flip, no mixing."""

    def recipe(self, task: Task) -> Recipe:
        """The plain recipe, as in protocols.md."""
        return self.finished(self.base(task, large_batch=128))
