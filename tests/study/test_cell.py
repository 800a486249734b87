"""Energy: counters that are planted, wrap, vanish or were never there; nothing that they do stops the work."""

import itertools
import math
import sys
import threading
import types

import pytest

from decoct.study.cell import Counter, Energy, of_gpu, of_processor

RANGE = 262_143_328_850  # microjoules, as a processor says


@pytest.fixture
def zone(tmp_path):
    """Plants a zone of the powercap tree, or changes its count, in one step as a kernel does."""

    def plant(place, count=None, name="package-0", end=RANGE):
        folder = tmp_path / place
        folder.mkdir(exist_ok=True)
        for file, text in (("name", name), ("energy_uj", count), ("max_energy_range_uj", end)):
            if text is not None:
                (folder / "new").write_text(f"{text}\n")
                (folder / "new").replace(folder / file)
        return folder

    return plant


def drawn(counters, change=lambda: None, **how):
    with Energy(counters, **how) as energy:
        change()
    joules = energy.drawn()
    return None if math.isnan(joules) else joules


def test_the_packages_are_summed_and_the_zones_in_and_around_them_are_not(zone, tmp_path):
    places = {
        "intel-rapl:0": "package-0",
        "intel-rapl:1": "package-1-die-0",
        "intel-rapl:2": "psys",
        "intel-rapl:0:0": "core",
        "intel-rapl:0:1": "dram",
        "intel-rapl-mmio:0": "package-0",
    }
    for place, name in places.items():
        zone(place, 5_000_000, name)
    (tmp_path / "intel-rapl").mkdir()  # the type's own folder counts nothing

    def work():
        for i, (place, name) in enumerate(places.items()):
            zone(place, 5_000_000 + 10**i * 1_000_000, name)

    counters = of_processor(tmp_path)
    assert [counter.end for counter in counters] == [RANGE / 1e6] * 2
    assert drawn(counters, work) == pytest.approx(1 + 10)


def test_a_counter_at_its_end_starts_anew(zone, tmp_path):
    zone("intel-rapl:0", RANGE - 2_000_000)
    zone("intel-rapl:1", 7_000_000, "package-1", end=65_532_610_987)

    def work():
        zone("intel-rapl:0", 3_000_000)
        zone("intel-rapl:1", 6_000_000, "package-1", end=65_532_610_987)

    assert drawn(of_processor(tmp_path), work) == pytest.approx(5 + 65_531.610987)


def test_a_counter_that_starts_anew_more_than_once_is_followed():
    """It advances by 40 of its 100 joules whenever it is read; two reads alone would see nothing of the laps."""
    enough, reads = threading.Event(), itertools.count()

    def read():
        number = next(reads)
        if number >= 12:
            enough.set()
        return 40.0 * number % 100

    joules = drawn([Counter(read, 100.0)], lambda: enough.wait(20), every=0.001)
    assert joules == pytest.approx(40.0 * (next(reads) - 1))
    assert joules >= 40 * 12


def test_nobody_looks_on_after_the_block():
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), Energy([Counter(lambda: 1.0, 100.0)], every=0.001) as energy:
        assert threading.active_count() == before + 1
        raise KeyboardInterrupt
    assert threading.active_count() == before
    assert energy.drawn() == 0.0
    with Energy([Counter(lambda: 1.0)]):
        assert threading.active_count() == before  # a counter without an end needs no watch


@pytest.mark.parametrize("missing", ["name", "energy_uj", "max_energy_range_uj"])
@pytest.mark.parametrize("how", ["gone", "rubbish", "a folder"])
def test_packages_that_cannot_all_be_read_report_nothing(zone, tmp_path, missing, how):
    zone("intel-rapl:0", 1)
    zone("intel-rapl:1", 1, "package-1")
    file = tmp_path / "intel-rapl:1" / missing
    file.unlink()
    if how == "rubbish":
        file.write_bytes(b"\xff\xfe?")
    elif how == "a folder":
        file.mkdir()
    assert drawn(of_processor(tmp_path)) is None


def test_a_machine_without_counters_reports_nothing(tmp_path):
    assert of_processor(tmp_path) == of_processor(tmp_path / "nowhere") == ()
    assert drawn(()) is None


def test_a_counter_that_vanishes_half_way_leaves_the_energy_unknown(zone, tmp_path):
    folder = zone("intel-rapl:0", 1_000_000)
    assert drawn(of_processor(tmp_path), (folder / "energy_uj").unlink) is None


def test_a_counter_that_was_away_for_a_while_leaves_the_energy_unknown():
    """It may have started anew in between."""
    gone, reads = threading.Event(), itertools.count()

    def read():
        if next(reads) == 1:
            gone.set()
            raise OSError("no such device")
        return 5.0

    assert drawn([Counter(read, 100.0)], lambda: gone.wait(20), every=0.001) is None
    assert next(reads) == 2  # nobody asks again


def test_a_counter_that_was_reset_leaves_the_energy_unknown():
    values = iter([500.0, 3.0])
    assert drawn([Counter(lambda: next(values))]) is None


class Fake(types.ModuleType):
    """NVML of a machine with three GPUs, in the order of the slots."""

    def __init__(self):
        super().__init__("pynvml")
        self.millijoules = {"GPU-aa": 1_000_000, "GPU-bb": 2_000_000, "GPU-cc": 3_000_000}
        self.slices = {"MIG-dd": "GPU-cc"}  # the last GPU is cut up; the first cannot be
        self.ready = False

    def nvmlInit(self):  # noqa: N802
        self.ready = True

    def nvmlDeviceGetHandleByUUID(self, uuid):  # noqa: N802
        assert self.ready
        if uuid not in self.slices:
            self.millijoules[uuid]
        return ("handle", uuid)

    def nvmlDeviceGetMigMode(self, handle):  # noqa: N802
        if handle[1] == "GPU-aa":
            raise RuntimeError("Not Supported")
        return [int(handle[1] in self.slices.values()), 0]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):  # noqa: N802
        return self.millijoules[handle[1]]


@pytest.fixture
def nvml(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", fake := Fake())
    return fake


def test_a_gpu_is_found_by_its_uuid(nvml):
    def work():
        nvml.millijoules = {"GPU-aa": 1_000_900, "GPU-bb": 2_012_500, "GPU-cc": 3_700_000}

    (counter,), (old,) = of_gpu("bb"), of_gpu("aa")
    assert math.isinf(counter.end)
    assert drawn([counter, old], work) == pytest.approx(12.5 + 0.9)


@pytest.mark.parametrize("uuid", ["dd", "cc"])
def test_a_slice_of_a_gpu_has_no_counter(uuid, nvml):
    """Whether CUDA gives the UUID of the slice or of its GPU, whose counter is of all slices."""
    assert of_gpu(uuid) == ()
    nvml.slices.clear()  # the GPU is whole again
    assert len(of_gpu("cc")) == 1


def test_an_nvml_that_knows_nothing_of_slices_counts_all_the_same(nvml, monkeypatch):
    monkeypatch.delattr(Fake, "nvmlDeviceGetMigMode")
    assert len(of_gpu("aa")) == 1


def test_a_gpu_that_nobody_counts_reports_nothing(nvml, monkeypatch):
    assert of_gpu("a part of one") == ()
    monkeypatch.delattr(Fake, "nvmlDeviceGetTotalEnergyConsumption")  # an NVML before that of Volta
    assert drawn(of_gpu("aa")) is None
    monkeypatch.setattr(Fake, "nvmlInit", lambda self: 1 / 0)  # no driver
    assert of_gpu("aa") == ()
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not installed
    assert of_gpu("aa") == ()


def test_a_gpu_that_falls_off_its_bus_leaves_the_energy_unknown(nvml):
    assert drawn(of_gpu("aa"), nvml.millijoules.clear) is None
