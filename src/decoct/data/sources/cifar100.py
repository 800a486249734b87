"""CIFAR-100, 32 × 32 colour, 50,000 + 10,000 images in 100 classes, or in their 20 superclasses."""

from decoct.data.sources._shared.cifar import Cifar, Release

FINE = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
"""
COARSE = """
    aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices household_furniture
    insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores
    medium_mammals non-insect_invertebrates people reptiles small_mammals trees vehicles_1 vehicles_2
"""


class CIFAR100(Cifar):
    """CIFAR-100 (Krizhevsky, 2009, "Learning Multiple Layers of Features from Tiny Images"), either version."""

    title_of_set = "CIFAR-100"
    releases = (
        Release("binary", "cifar-100-binary", "cifar-100-binary.tar.gz", ("train.bin",), "test.bin"),
        Release("python", "cifar-100-python", "cifar-100-python.tar.gz", ("train",), "test"),
    )
    names_of = {"coarse": tuple(COARSE.split()), "fine": tuple(FINE.split())}
    coarse: bool = False  # the 20 superclasses as classes

    @property
    def labels(self) -> str:
        """Fine labels unless coarse ones were asked for."""
        return "coarse" if self.coarse else "fine"
