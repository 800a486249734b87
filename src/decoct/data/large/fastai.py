"""The ten-class subsets that fastai released with splits of their own, and that papers also cut from ImageNet-1K."""

from typing import Literal

from decoct.core.errors import DecoctError
from decoct.data.large.imagenet import FASTAI, ILSVRC, ImageNet, strays
from decoct.data.large.index import Index
from decoct.data.layouts.layout import Layout


class TenClasses(ImageNet):
    """Ten classes in fastai's split or in ImageNet-1K's; the data set's name says which, since numbers differ.

    fastai put the pictures of ImageNet-1K's train and val together and divided them anew, so that its val holds names
    of train. That is how it is recognised, in whatever folder it lies.
    """

    release: Literal["auto", "fastai", "imagenet1k"] = "auto"  # whose split it must be; auto: whichever it is

    def release_of(self, found: Index, layout: Layout) -> str:
        """Whose split of the pictures it is.

        Raises:
            DecoctError: another one than was asked for.
        """
        release = FASTAI if strays(found) else ILSVRC
        asked = {"auto": release, "fastai": FASTAI, "imagenet1k": ILSVRC}[self.release]
        if asked != release:
            raise DecoctError(
                f"{layout.root} is {release}'s split of {self.name}, not {asked}'s\n"
                'set release = "auto" to take it as it is, or give the other one\'s folder'
            )
        return release

    def called(self, release: str) -> str:
        """Such as "imagenette (fastai)"."""
        return f"{self.title} ({release})"
