"""Pages of methods, protocols, metrics and data sources, from their Specs and docstrings."""

import importlib
import inspect
import itertools
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from docstrings import Docstring, cell, example, inline, markdown, own, papers, parse, table
from pictures import CUTS
from values import WIDTH, default, setting, shown, signature, type_of

import decoct
from decoct.core.interfaces import Condenser, Metric, TrainProtocol
from decoct.core.spec import Spec, find, names

PACKAGE = Path(decoct.__file__).parent
FAMILIES = {
    "coresets": ("Coresets", "real images, picked", "../coresets.md", "../results/coresets.md"),
    "decoupled": ("Decoupled distillation", "what a teacher knows, as images", None, "../results/decoupled.md"),
    "matching": ("Matching", "learnt pixels, for low resolution", "../matching.md", "../results/matching.md"),
    "generative": ("Generative", "samples of a diffusion model", "../generative.md", "../results/generative.md"),
}
INTERFACES = (Condenser, TrainProtocol, Metric, Spec)
NEEDS = {
    "Teacher": "a net trained on the data",
    "Features": "features of the train images",
    "LayerStatistics": "moments of a net's layers over the train images",
    "Dynamics": "traces of trainings",
    "OutOfSample": "probabilities of the train images by nets that did not see them",
    "Trajectories": "weights of trainings after each epoch",
    "ImageGenerator": "a diffusion model",
}
LOOKS = {"features": "features of each extractor", "logits": "logits of the held-out net", "cost": "what a set took"}
SIZES = (28, 224)  # resolutions that defaults and needs are shown for


def of(kind: str) -> dict[str, type[Any]]:
    """Every built-in Spec of a kind by name, in order."""
    return {name: find(kind, name) for name in sorted(names(kind)) if names(kind)[name].endswith(".py")}


def family(cls: type[Any]) -> str:
    """The folder that a method lies in."""
    return cls.__module__.split(".")[-2]


def title(cls: type[Any]) -> tuple[str, str]:
    """What a Spec is called and what it does, from the first line of its file."""
    first = parse(inspect.getmodule(cls).__doc__).summary
    called, colon, says = first.partition(": ")
    return (called, says[:1].upper() + says[1:]) if colon and len(called) < 40 else (cls.name, first)


def method(cls: type[Condenser]) -> str:
    """The page of a condenser."""
    called, says = title(cls)
    label, _, guide, measured = FAMILIES[family(cls)]
    facts = {
        "name": f"`{cls.name}`",
        "family": f"[{label.lower()}](index.md#{family(cls)})",
        "paper": _links(cls) or "–",
        "draws": "random: each seed gives another set" if cls().stochastic else "none: the same needs give one set",
        "budget": "as many images of each class" if cls.even else "any; classes may give different numbers",
        "needs": _needs(cls),
        "shards": "none: all classes at once" if cls().at(SIZES[0]).together(10) is None else "of its classes",
        "file": f"`{_file(cls)}`",
    }
    quick = [f"--set {key}={setting(value)}" for key, value in cls.quick.items()]
    words = ["decoct condense", cls.name, "--data digits", "--ipc 10"]
    line = " ".join([*words, *quick])
    line = line if len(line) <= WIDTH else " ".join(words) + " \\\n    " + " ".join(quick)
    cut = "Cut down to be quick; leave out `--set` for the method as it is." if quick else ""
    if family(cls) == "generative":
        cut += " It needs `pip install 'decoct[diffusion]'`, and " + (
            "`hf download stable-diffusion-v1-5/stable-diffusion-v1-5` comes first."
            if cls().text
            else "the first call trains a generator, which takes minutes."
        )
    parts = [
        f"# {called}\n\n{inline(says)}",
        table(("", ""), facts.items()),
        "## What it does\n\n" + _story(cls),
        f"## Try it\n\n```sh\n{line}\n```",
        cut,
        f'In Python `decoct.condense("{cls.name}", "digits", ipc=10)`; in a study `condensers = ["random", '
        f'{{name = "{cls.name}"}}]`.',
        "## Hyper-parameters\n\n" + fields(cls),
        _presets(cls),
        _picture(cls.name),
        "## See also\n\n" + "\n".join(f"- {line}" for line in _see(label, guide, measured)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def protocol(cls: type[TrainProtocol]) -> str:
    """The page of a protocol."""
    called, says = title(cls)
    committee = {size: cls().label_teachers(size) for size in SIZES}
    who = "; ".join(f"at {size} px {', '.join(f'`{net}`' for net in nets)}" for size, nets in committee.items() if nets)
    option, argument = "--set steps=500", "steps=500"
    if cls().start() != "fresh":  # which asks for a net with weights
        option, argument = "--student timm:resnet18.a1_in1k", 'student="timm:resnet18.a1_in1k"'
    facts = {
        "name": f"`{cls.name}`",
        "paper": _links(cls) or "–",
        "labels": f"of teachers: {who}" if who else "hard",
        "file": f"`{_file(cls)}`",
    }
    parts = [
        f"# {called}\n\n{inline(says)}",
        table(("", ""), facts.items()),
        "## What it does\n\n" + _story(cls),
        "## Try it\n\nOn a set that is there, such as that of `decoct condense herding --ipc 10 --out herding10`:",
        f"```sh\ndecoct train herding10 --data digits --protocol {cls.name} {option}\n```",
        f'In Python `decoct.train(small, "digits", protocol="{cls.name}", {argument})`; in a study '
        f'`protocols = [{{name = "{cls.name}"}}]`.',
        "## Options\n\n" + fields(cls),
        "## See also\n\n- [Protocols, teachers, labels](../protocols.md): the recipes side by side, stored labels.",
    ]
    return "\n\n".join(parts) + "\n"


def metric(cls: type[Metric]) -> str:
    """The page of a metric."""
    called, says = title(cls)
    function = getattr(importlib.import_module(cls.__module__), cls.name)
    facts = {
        "name": f"`{cls.name}`",
        "paper": _links(cls, function) or "–",
        "kind": cls.axis,
        "looks at": LOOKS[cls.needs],
        "file": f"`{_file(cls)}`",
    }
    better = {True: "more is better", False: "less is better", None: "a fact, no virtue by itself"}
    rows = [
        (
            f"`{name}`",
            better[cls.higher_is_better.get(name)],
            _range(*cls.limits[name]) if name in cls.limits else "–",
            "yes" if name in cls.lead else "",
        )
        for name in cls.higher_is_better
    ]
    found, where = own(function), "decoct.functional." if cls.needs != "cost" else f"{cls.__module__}."
    parts = [
        f"# {called}\n\n{inline(says)}",
        table(("", ""), facts.items()),
        "## What it measures\n\n" + _story(cls),
        "## Values\n\n" + table(("value", "reads", "range", "leads the report"), rows),
        "## Formula\n\n" + function_text(cls.name, function, found, where),
        "## Try it\n\nOn a set that is there, such as that of `decoct condense herding --ipc 10 --out herding10`:",
        f"```sh\ndecoct measure herding10 --data digits --metric {cls.name}\n```",
        "## Options\n\n" + fields(cls, found.items.get("Args", {})),
        "## See also\n\n- [Beyond accuracy](../metrics.md): what makes such numbers comparable, and what fools them.",
    ]
    return "\n\n".join(parts) + "\n"


def sources() -> str:
    """One page of all data sources."""
    parts = ['# Data sources\n\n`--data NAME`, `data = {name = "NAME", …}` in a study, `decoct.load_data("NAME")`.']
    for name, cls in of("source").items():
        parts += [f"## `{name}`\n\n{inline(title(cls)[1])}", _story(cls), fields(cls)]
    return "\n\n".join(part for part in parts if part) + "\n"


def index() -> str:
    """The list of all methods, by family."""
    which = "Which to take is said in [choosing a method](../choosing.md); `decoct ls methods` prints this list."
    parts = [f"# All methods\n\n{which}"]
    for key, (label, says, guide, measured) in FAMILIES.items():
        rows = [
            (f"[`{name}`]({name}.md)", cell(title(cls)[1]), _links(cls))
            for name, cls in of("condenser").items()
            if family(cls) == key
        ]
        more = ", ".join(f"[{text}]({url})" for text, url in (("guide", guide), ("measured", measured)) if url)
        parts.append(f"## {label} {{ #{key} }}\n\n{says[0].upper()}{says[1:]}: {more}.")
        parts.append(table(("method", "makes", "paper"), rows))
    return "\n\n".join(parts) + "\n"


def fields(cls: type[Spec], known: Mapping[str, str] = MappingProxyType({})) -> str:
    """A table of the fields: type, default, meaning; ``known`` are meanings that hold where a field has none."""
    if not cls.model_fields:
        return "None."
    told = {name: text or known.get(name, "") for name, text in meanings(cls).items()}
    rows = [(f"`{name}`", type_of(info), default(info), cell(told[name])) for name, info in cls.model_fields.items()]
    return table(("field", "type", "default", "meaning"), rows)


def meanings(cls: type[Spec]) -> dict[str, str]:
    """What each field means: said under Attributes, by the class or one that it builds on, or beside the field."""
    found: dict[str, str] = {}
    for base in reversed([base for base in cls.__mro__ if issubclass(base, Spec) and base is not Spec]):
        found |= _beside(base) | own(base).items.get("Attributes", {})
    story = inspect.getdoc(cls) or ""
    return {name: found.get(name) or ("as said above" if f"``{name}``" in story else "") for name in cls.model_fields}


def function_text(name: str, function: Any, found: Docstring, where: str = "") -> str:
    """Signature and docstring of a function."""
    parts = [f"```python\n{signature(where + name, function)}\n```", inline(found.summary), markdown(found.body)]
    for section in ("Args", "Raises"):
        if section in found.items:
            listed = "\n".join(f"- `{key}`: {inline(text)}" for key, text in found.items[section].items())
            parts.append(f"**{section}**\n\n{listed}")
    for section in ("Returns", "Yields", "Source"):
        if section in found.text:
            said = re.sub(r"(^|(?<=[.;] ))([a-z_]\w*): ", r"\1``\2``: ", " ".join(found.text[section].split()))
            parts.append(f"**{section}** {inline(said)}")
    return "\n\n".join(part for part in (*parts, example(found)) if part)


def _range(low: float, high: float) -> str:
    if math.isinf(high):
        return f"from {low:g}"
    return f"up to {high:g}" if math.isinf(low) else f"{low:g} to {high:g}"


def _links(cls: type[Any], *more: Any) -> str:
    texts = [inspect.getmodule(cls).__doc__, cls.__dict__.get("__doc__"), *(each.__doc__ for each in more)]
    return ", ".join(f"[{number}]({url})" for number, url in papers(*texts).items())


def _story(cls: type[Any]) -> str:
    """The docstring of a Spec and, below it, what it shares with others."""
    said = own(cls)
    parts = [inline(said.summary), markdown(said.body)]
    for base in itertools.takewhile(lambda base: base not in INTERFACES, cls.__mro__[1:]):
        shared = own(base)
        if shared.summary:
            text = "\n\n".join(part for part in (inline(shared.summary), markdown(shared.body)) if part)
            parts.append(f"*Shared, of `{base.__name__}`:* {text}")
    return "\n\n".join(part for part in parts if part)


def _beside(cls: type[Any]) -> dict[str, str]:
    """Comments that stand beside fields in the source."""
    return dict(re.findall(r"^    (\w+): .*?  # (.+)$", inspect.getsource(cls), flags=re.MULTILINE))


def _needs(cls: type[Condenser]) -> str:
    """What must exist first, at a small and at a large resolution."""
    found = {}
    for size in SIZES:
        listed: dict[str, list[str]] = {}
        for need in cls().at(size).needs():
            who = getattr(need, "net", None) or getattr(need, "extractor", None) or getattr(need, "generator", None)
            listed.setdefault(NEEDS[type(need).__name__], []).append(f"`{who}`")
        found[size] = "; ".join(f"{what}: {', '.join(who)}" for what, who in listed.items()) or "nothing"
    small, large = found.values()
    return small if small == large else "<br>".join(f"at {size} px {text}" for size, text in found.items())


def _presets(cls: type[Any]) -> str:
    presets = getattr(cls, "presets", None)
    if not presets:
        return ""
    keys = list(dict.fromkeys(key for preset in presets.values() for key in preset))
    rows = [
        (f"`{key}`", *(shown(preset[key]) if key in preset else "–" for preset in presets.values())) for key in keys
    ]
    usual = " and ".join(f"`{cls().usual(size)}` at {size} px" for size in SIZES)
    head = ("field", *(f"`{name}`" for name in presets))
    says = f"Where a field is None, the preset says it. Without `preset` it is {usual}."
    return f"## Presets\n\n{says}\n\n{table(head, rows)}"


def _picture(name: str) -> str:
    if name not in CUTS:
        return ""
    sheet, says, _ = CUTS[name]
    page = f"../results/{sheet.removesuffix('_sets')}.md"
    image = f"![{says}, by {name}](pictures/{name}.png)"
    return f"## Pictures\n\n{image}\n\n{says}; [how it was made]({page})."


def _see(label: str, guide: str | None, measured: str) -> Iterable[str]:
    if guide:
        yield f"[{label}: guide]({guide})"
    yield f"[measured]({measured})"
    yield "[all methods](index.md)"


def _file(cls: type[Any]) -> str:
    return f"src/{Path(inspect.getfile(cls)).relative_to(PACKAGE.parent)}"
