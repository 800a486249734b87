"""Caches and servers of weights: the hub's folder as its client lays it out, and servers of this machine."""

import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from urllib.error import URLError

import pytest
import timm
import torch
from huggingface_hub import constants

from decoct.core.errors import DecoctError
from decoct.nets import backbone, hub
from decoct.nets.backbone import embed
from decoct.nets.pretrained import pretrained


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """No network, and caches of the hub and of torch that are empty."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    asked = []
    monkeypatch.setattr(hub, "answers", lambda url: asked.append(url))
    return asked


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_what_the_cache_holds_is_loaded_and_nobody_is_asked(alone, in_hub, monkeypatch, name):
    net = in_hub("test_resnet.r160_in1k", timm.create_model("test_resnet", num_classes=1000), name).eval()
    images = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    backbone.at_hand("test_resnet")
    found, _ = backbone.load("test_resnet")
    with torch.no_grad():
        expected = net.forward_head(net.forward_features(images * 2 - 1), pre_logits=True)
    torch.testing.assert_close(torch.cat(list(embed(found, images))), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(pretrained("test_resnet", 8).state["fc.weight"], net.fc.weight)
    assert alone == []


def test_torch_keeps_files_by_their_last_name(alone, tmp_path):
    facts = SimpleNamespace(url="https://a.org/b/net-0123.pth?x=1", hf_hub_id=None, architecture="net", tag="a1")
    with pytest.raises(DecoctError, match=r"no weights of timm's net.a1 .* a.org does not answer\n.*torch/checkpoints"):
        hub.overlay(facts)
    (tmp_path / "torch" / "checkpoints").mkdir(parents=True)
    (tmp_path / "torch" / "checkpoints" / "net-0123.pth").touch()
    assert hub.cached(facts) == tmp_path / "torch" / "checkpoints" / "net-0123.pth"


def test_other_names_and_revisions_are_found(alone, in_hub):
    in_hub("mine", timm.create_model("test_vit"), "open_clip_model.safetensors", revision="v2")
    facts = {"hf_hub_filename": "open_clip_pytorch_model.bin", "url": "", "custom_load": False}
    assert hub.cached(SimpleNamespace(hf_hub_id="timm/mine@v2", **facts)).name == "open_clip_model.safetensors"
    assert hub.cached(SimpleNamespace(hf_hub_id="timm/mine", **facts)) is None


def test_without_a_network_it_is_said_at_once_how_to_get_them(alone, monkeypatch):
    for ask in (lambda: backbone.at_hand("clip"), lambda: backbone.load("clip")):
        with pytest.raises(DecoctError) as caught:
            ask()
        first, second = str(caught.value).splitlines()
        assert first.endswith("are on this machine, and huggingface.co does not answer")
        assert "'hf download timm/vit_base_patch32_clip_224.openai'" in second and "clip@FILE" in second
    assert len(alone) == 2
    with pytest.raises(DecoctError, match=r"timm's test_resnet.r160_in1k are .*\n.*checkpoint"):
        pretrained("test_resnet", 32)
    with pytest.raises(DecoctError, match=r"torchvision's alexnet are .*download.pytorch.org does not.*\n.*checkpoint"):
        pretrained("alexnet", 224)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    alone.clear()
    with pytest.raises(DecoctError, match="in the hub's cache, and HF_HUB_OFFLINE is set"):
        backbone.load("dinov2")
    assert alone == []


@pytest.fixture
def server():
    """Servers of this machine that answer HEAD with a status."""
    made = []

    def serve(status):
        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.send_response(status)
                self.end_headers()

            def log_message(self, *args):
                pass

        made.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=made[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{made[-1].server_port}/"

    yield serve
    for each in made:
        each.shutdown()
        each.server_close()


@pytest.mark.parametrize("status", [200, 404, 503])
def test_any_answer_is_one(server, status):
    assert hub.answers(server(status))


def test_a_certificate_that_is_not_trusted_is_an_answer(monkeypatch):
    def refuse(*args, **options):
        raise URLError(ssl.SSLCertVerificationError("self-signed"))

    monkeypatch.setattr(hub, "urlopen", refuse)
    assert hub.answers("https://a.org")


def test_who_does_not_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(hub, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the call and says nothing
        port, start = silent.getsockname()[1], time.monotonic()
        assert not hub.answers(f"http://127.0.0.1:{port}/")
    assert not hub.answers(f"http://127.0.0.1:{port}/")  # nobody is there any more
    over = threading.Event()

    def looking_up(*args, **options):  # a name, for long
        over.wait(30)
        raise OSError

    monkeypatch.setattr(hub, "urlopen", looking_up)
    assert not hub.answers("http://a.org")
    over.set()
    assert time.monotonic() - start < 10
