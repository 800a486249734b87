"""CIFAR-10, 32 × 32 colour, 50,000 + 10,000 images of animals and vehicles in 10 classes."""

from decoct.data.sources._shared.cifar import Cifar, Release

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
BINARY = tuple(f"{batch}.bin" for batch in BATCHES)


class CIFAR10(Cifar):
    """CIFAR-10 (Krizhevsky, 2009, "Learning Multiple Layers of Features from Tiny Images"), either version."""

    title_of_set = "CIFAR-10"
    releases = (
        Release("binary", "cifar-10-batches-bin", "cifar-10-binary.tar.gz", BINARY, "test_batch.bin"),
        Release("python", "cifar-10-batches-py", "cifar-10-python.tar.gz", BATCHES, "test_batch"),
    )
    names_of = {"class": CLASS_NAMES}
