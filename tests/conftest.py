"""What tests share: a store of their own, so that none reads or fills the user's cache; tiny generators, sets, nets."""

import gc
import json
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("decoct", deadline=None)  # no test asserts a time
settings.load_profile("decoct")


def pytest_collection_finish() -> None:
    """Ten thousand tests and torch stay as they are: the garbage collector need not look at them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def decoct_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DECOCT_STORE", str(tmp_path_factory.mktemp("store")))
        yield


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every server of weights seems to answer; what is fetched from it stands in the test."""
    monkeypatch.setattr("decoct.nets.hub.answers", lambda url: True)


@pytest.fixture
def in_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Put a net into a cache of the hub, as timm's repository of that name: in_hub("test_vit.r160_in1k", net)."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def put(name: str, net: Any, file: str = "model.safetensors", revision: str = "main") -> Any:
        import torch
        from safetensors.torch import save_file

        repo, commit = tmp_path / "hub" / f"models--timm--{name}", "0" * 40
        (repo / "refs").mkdir(parents=True)
        (repo / "refs" / revision).write_text(commit)
        snapshot = repo / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (snapshot / "config.json").write_text(json.dumps({"architecture": name.partition(".")[0]}))
        state = {key: value.contiguous() for key, value in net.state_dict().items()}
        (save_file if file.endswith(".safetensors") else torch.save)(state, snapshot / file)
        return net

    return put


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """A bucket of an S3 that moto plays on this machine, for this process and those that it starts."""
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem().mkdir("decoct-tests")
        yield "s3://decoct-tests"
    server.stop()


@pytest.fixture(params=["memory", "s3"])
def url(request: pytest.FixtureRequest) -> str:
    """A place of an object store where nobody was before: fsspec's own in memory, and an S3."""
    start = "memory://decoct-tests" if request.param == "memory" else request.getfixturevalue("bucket")
    return f"{start}/{uuid.uuid4().hex}/store"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """``machine(NAME)``: from here on this process sees the cache of another machine."""
    return lambda name: monkeypatch.setenv("DECOCT_STORE", str(tmp_path / "machines" / name))


class Disk:
    """What was brought to disk and renamed, in order; files are known by inode, which a rename leaves as it is."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int, int, str]] = []  # sync or rename, inode, bytes of the file, new path

    def note(self, kind: str, found: os.stat_result, to: Any = "") -> None:
        self.events.append((kind, found.st_ino, found.st_size, os.fspath(to)))

    def moved(self, path: Path) -> int:
        """The place in order of the rename that brought a file or folder to a path."""
        return max(i for i, (kind, *_, to) in enumerate(self.events) if kind == "rename" and to == str(path))

    def synced(self, path: Path, first: int = 0, last: int | None = None) -> bool:
        """Whether what is at a path now was brought to disk as it is, between two places in order."""
        now = path.stat()
        return any(
            kind == "sync" and inode == now.st_ino and (path.is_dir() or size == now.st_size)
            for kind, inode, size, _ in self.events[first:last]
        )


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Watches ``os.fsync``, ``os.rename`` and ``os.replace``, and spares the fsync."""
    seen = Disk()
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.note("sync", os.fstat(descriptor)))
    for original in (os.rename, os.replace):

        def move(of: Any, to: Any, original: Callable[..., None] = original) -> None:
            seen.note("rename", Path(of).stat(), to)
            original(of, to)

        monkeypatch.setattr(os, original.__name__, move)
    return seen


@pytest.fixture
def tiny_pipeline(tmp_path: Path) -> Callable[..., Path]:
    """Save an untrained diffusion model in diffusers' layout: tiny_pipeline("unet", classes=3, vae=False).

    "dit": patches of 2, latents of 4 × 4 × 4, a learnt variance, classes and a null class; with its decoder it makes
    colour images of 8 px. "unet" is a ``UNet2DModel`` on the same latents; without a decoder, on grey pixels of 8 × 8.
    Its classes are "0", "1", …, as those of digits, unless ``names`` are given; False leaves them out.
    """

    def make(
        net: str = "dit",
        *,
        classes: int = 10,
        null: bool = True,
        vae: bool = True,
        channels: int = 1,
        side: int | None = None,
        prediction: str = "epsilon",
        safe: bool = True,
        names: Any = None,
        seed: int = 0,
        folder: Path | None = None,
    ) -> Path:
        import diffusers
        import torch

        folder = folder or tmp_path / f"tiny-{net}"
        kinds: dict[str, Any] = {"safe_serialization": safe}
        side, depth = side or (4 if vae else 8), 4 if vae else channels
        with torch.random.fork_rng([]):
            torch.random.default_generator.manual_seed(seed)
            if net == "dit":
                model = diffusers.DiTTransformer2DModel(
                    num_attention_heads=2,
                    attention_head_dim=8,
                    in_channels=depth,
                    out_channels=2 * depth,
                    num_layers=2,
                    norm_num_groups=4,
                    sample_size=side,
                    patch_size=2,
                    num_embeds_ada_norm=classes,
                )
                model.save_pretrained(folder / "transformer", **kinds)
            else:
                model = diffusers.UNet2DModel(
                    sample_size=side,
                    in_channels=depth,
                    out_channels=depth,
                    down_block_types=("DownBlock2D", "AttnDownBlock2D"),
                    up_block_types=("AttnUpBlock2D", "UpBlock2D"),
                    block_out_channels=(8, 8),
                    layers_per_block=1,
                    norm_num_groups=4,
                    attention_head_dim=8,
                    num_class_embeds=classes + null,
                )
                model.save_pretrained(folder / "unet", **kinds)
            if vae:
                decoder = diffusers.AutoencoderKL(
                    down_block_types=("DownEncoderBlock2D",) * 2,
                    up_block_types=("UpDecoderBlock2D",) * 2,
                    block_out_channels=(8, 8),
                    layers_per_block=1,
                    latent_channels=4,
                    norm_num_groups=4,
                    sample_size=2 * side,
                )
                decoder.save_pretrained(folder / "vae", **kinds)
        scheduler = diffusers.DDPMScheduler(
            num_train_timesteps=1000, beta_schedule="linear", prediction_type=prediction
        )
        scheduler.save_pretrained(folder / "scheduler")
        if names is not False:
            said = {"class_names": list(names or map(str, range(classes)))}
            (folder / "generator.json").write_text(json.dumps(said), "utf-8")
        return folder

    return make


@pytest.fixture
def text_pipeline(tmp_path: Path, tiny_pipeline: Callable[..., Path]) -> Callable[..., Path]:
    """Save an untrained text-conditioned model in Stable Diffusion's layout: text_pipeline(prediction="v_prediction").

    Latents of 4 × 4 × 4, colour images of 8 px, a text encoder of letters, and the scheduler of Stable Diffusion 1.5.
    """

    def make(prediction: str = "epsilon", seed: int = 0) -> Path:
        import diffusers
        import torch

        transformers = pytest.importorskip("transformers")
        folder = tiny_pipeline("unet", seed=seed, names=False, folder=tmp_path / "tiny-text")
        letters = [chr(code) for code in range(33, 127)]
        words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
        with torch.random.fork_rng([]):
            torch.random.default_generator.manual_seed(seed)
            diffusers.UNet2DConditionModel(
                sample_size=4,
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
                block_out_channels=(8, 8),
                layers_per_block=1,
                norm_num_groups=4,
                attention_head_dim=4,
                cross_attention_dim=12,
            ).save_pretrained(folder / "unet")
            config = transformers.CLIPTextConfig(
                vocab_size=len(words),
                hidden_size=12,
                intermediate_size=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=40,
                bos_token_id=len(words) - 2,
                eos_token_id=len(words) - 1,
            )
            transformers.CLIPTextModel(config).save_pretrained(folder / "text_encoder")
        (folder / "tokenizer").mkdir(exist_ok=True)
        vocabulary = {word: number for number, word in enumerate(words)}
        (folder / "tokenizer" / "vocab.json").write_text(json.dumps(vocabulary))
        (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
        (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 40}))
        diffusers.PNDMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            skip_prk_steps=True,
            steps_offset=1,
            prediction_type=prediction,
        ).save_pretrained(folder / "scheduler")
        return folder

    return make


@pytest.fixture(scope="session")
def small_set() -> Callable[..., Any]:
    """Make a set of random bytes: small_set(n=20, size=8), with the mean .4 and deviation .3 in every channel."""
    import torch

    from decoct.training.batches import TrainingSet

    def make(
        n: int = 20, classes: int = 3, size: int = 4, channels: int = 1, seed: int = 0, **rest: Any
    ) -> TrainingSet:
        generator = torch.Generator().manual_seed(seed)
        images = torch.randint(0, 256, (n, channels, size, size), generator=generator, dtype=torch.uint8)
        labels = torch.randint(0, classes, (n,), generator=generator)
        return TrainingSet(images, labels, (0.4,) * channels, (0.3,) * channels, **rest)

    return make


@pytest.fixture(scope="session")
def linear() -> Callable[..., Any]:
    """Make a linear net for flattened images: linear(features=64, seed=1)."""
    import torch
    from torch import nn

    def make(features: int = 16, classes: int = 3, seed: int = 0) -> nn.Sequential:
        with torch.random.fork_rng([]):
            torch.random.default_generator.manual_seed(seed)
            return nn.Sequential(nn.Flatten(), nn.Linear(features, classes))

    return make


@pytest.fixture(scope="session")
def normal_net() -> Callable[..., Any]:
    """Make a small net with batch norm for images of 8 px: normal_net(channels=3, seed=1)."""
    import torch

    from decoct.nets.convnet import ConvNet

    def make(channels: int = 1, classes: int = 3, size: int = 8, seed: int = 0) -> ConvNet:
        with torch.random.fork_rng([]):
            torch.random.default_generator.manual_seed(seed)
            return ConvNet(channels, classes, size, width=8, depth=2, norm="batch")

    return make


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], list[Any]]:
    """Let torch.compile do nothing, or fail: compiler(fails) gives the graphs that it is asked to compile."""
    import torch

    from decoct.nets import compiled

    def begin(fails: bool) -> list[Any]:
        tried: list[Any] = []

        def backend(graph: Any, inputs: Any) -> Any:
            tried.append(graph)
            if fails:
                raise RuntimeError("no compiler is here")
            return graph.forward

        monkeypatch.setattr(compiled, "BACKEND", backend)
        torch.compiler.reset()
        return tried

    return begin
