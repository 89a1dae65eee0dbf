"""Small models as other SchNet codes would write them, and their energies by the equations alone."""

import contextlib
import math
import sys
import types
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

NUMBERS = np.array([8, 1, 1, 6, 1])
POSITIONS = np.array(
    [[0.0, 0.1, 0.0], [0.9, 0.0, 0.1], [-0.3, 0.9, 0.0], [0.2, -0.4, 1.6], [0.1, 0.6, 2.9]]
)
LN2 = math.log(2.0)
ACTIVATIONS = {
    "ssp": lambda x: torch.nn.functional.softplus(x) - LN2,
    "softplus": torch.nn.functional.softplus,
    "silu": torch.nn.functional.silu,
    "tanh": torch.tanh,
}


@dataclass
class Plain:
    """A SchNet as numbers; its energies are computed without any class of a network."""

    features: int = 8
    filters: int = 6
    gaussians: int = 5
    blocks: int = 2
    widths: tuple[int, ...] = (4,)
    activation: str = "ssp"
    head_activation: str = "silu"
    filter_activation: bool = False
    cutoff: str = "cosine"
    radius: float = 4.0
    onset: float = 1.0
    basis: str = "gaussian"
    start: float = 0.0
    stop: float | None = None
    width: float | None = None
    shared: bool = False
    embedding: Tensor = field(init=False)
    layers: list[list[tuple[Tensor, Tensor | None]]] = field(init=False)
    """Of each block: before the convolution, two of the filter, two behind."""
    head: list[tuple[Tensor, Tensor]] = field(init=False)

    def __post_init__(self) -> None:
        torch.manual_seed(5)
        f, k, g = self.features, self.filters, self.gaussians
        shapes = [(k, f), (k, g), (k, k), (f, k), (f, f)]
        self.stop = self.radius if self.stop is None else self.stop
        self.embedding = torch.randn(100, f)
        self.layers = [
            [
                (0.5 * torch.randn(s), None if i == 0 else 0.3 * torch.randn(s[0]))
                for i, s in enumerate(shapes)
            ]
            for _ in range(1 if self.shared else self.blocks)
        ]
        self.layers *= self.blocks if self.shared else 1
        sizes = [f, *self.widths, 1]
        self.head = [(torch.randn(b, a), torch.randn(b)) for a, b in pairwise(sizes)]

    @property
    def centers(self) -> Tensor:
        """Of the Gaussians, as those codes compute them."""
        return torch.linspace(self.start, self.stop, self.gaussians)

    @property
    def spacing(self) -> float:
        """Width of the Gaussians."""
        return float(self.centers[1] - self.centers[0]) if self.width is None else self.width

    @property
    def frequencies(self) -> Tensor:
        """Of the Bessel functions."""
        return torch.arange(1, self.gaussians + 1) * math.pi / self.radius

    def energies(self, positions: Tensor, numbers: np.ndarray = NUMBERS) -> Tensor:
        """Return what the last layer says of each atom; any unit of length."""
        act, head_act = ACTIVATIONS[self.activation], ACTIVATIONS[self.head_activation]
        n = len(numbers)
        d = (positions[:, None] - positions[None] + torch.eye(n)[..., None]).norm(dim=2)[..., None]
        if self.basis == "bessel":
            basis = torch.sin(d * self.frequencies.double()) / d
        else:
            basis = torch.exp(-((d - self.centers.double()) ** 2) / (2.0 * self.spacing**2))
        weight = (1.0 - torch.eye(n)[..., None]) * self._cutoff(d)
        x = self.embedding.double()[torch.as_tensor(numbers)]
        for block in self.layers:
            before, first, second, hidden, out = [
                (lambda v, w=w, b=b: v @ w.double().T + (0.0 if b is None else b.double()))
                for w, b in block
            ]
            w = second(act(first(basis)))
            w = (act(w) if self.filter_activation else w) * weight
            x = x + out(act(hidden((before(x)[None] * w).sum(1))))
        for i, (matrix, bias) in enumerate(self.head):
            x = x @ matrix.double().T + bias.double()
            x = head_act(x) if i < len(self.head) - 1 else x
        return x[:, 0]

    def _cutoff(self, d: Tensor) -> Tensor:
        inside = (d < self.radius).double()
        x = d / self.radius
        if self.cutoff == "cosine":
            return 0.5 * (1.0 + torch.cos(math.pi * x)) * inside
        if self.cutoff == "mollifier":
            return torch.exp(1.0 - 1.0 / (1.0 - (x * inside) ** 2)) * inside
        if self.cutoff == "switch":
            u = ((d - self.onset) / (self.radius - self.onset)).clamp(1e-6, 1.0 - 1e-6)
            f = torch.exp(-1.0 / u), torch.exp(-1.0 / (1.0 - u))
            return f[1] / (f[0] + f[1])
        return inside if self.cutoff == "hard" else torch.ones_like(d)


def shifted_softplus(x: Tensor) -> Tensor:
    return torch.nn.functional.softplus(x) - 0.6931471805599453


shifted_softplus.__module__ = "schnetpack.nn.activations"
FUNCTIONS = {**ACTIVATIONS, "ssp": shifted_softplus}


class Dense(nn.Linear):
    """A layer that brings its activation."""

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: object = None) -> None:
        super().__init__(weight.shape[1], weight.shape[0], bias=bias is not None)
        self.weight.data = weight.clone()
        if bias is not None:
            self.bias.data = bias.clone()
        self.activation = nn.Identity() if activation is None else activation

    def forward(self, x: Tensor) -> Tensor:
        y = torch.nn.functional.linear(x, self.weight, self.bias)
        return self.activation(y)


Dense.__module__ = "schnetpack.nn.base"
KINDS: dict[str, type[nn.Module]] = {Dense.__module__ + ".Dense": Dense}


def kind(path: str) -> type[nn.Module]:
    """Return an empty class of modules of that full name."""
    module, _, name = path.rpartition(".")
    return KINDS.setdefault(path, type(name, (nn.Module,), {"__module__": module}))


def make(path: str, **members: object) -> nn.Module:
    """Return a module of that class with buffers, inner modules and attributes."""
    module = kind(path)()
    for name, value in members.items():
        if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
            module.register_buffer(name, value)
        else:
            setattr(module, name, value)
    return module


@contextlib.contextmanager
def importable() -> Iterator[None]:
    """Let pickle find the classes under their names while files are written."""
    before = dict(sys.modules)
    for path, cls in {**KINDS, "schnetpack.nn.activations.shifted_softplus": shifted_softplus}.items():
        module, _, name = path.rpartition(".")
        for end in range(1, module.count(".") + 2):
            part = ".".join(module.split(".")[:end])
            if part not in sys.modules:
                sys.modules[part] = types.ModuleType(part)
        setattr(sys.modules[module], name, cls)
    try:
        yield
    finally:
        for name in set(sys.modules) - set(before):
            del sys.modules[name]


def save(content: object, path: Path, legacy: bool = False) -> Path:
    """Write a file as torch does."""
    with importable(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # legacy files look for the source of the classes
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def save_script(module: nn.Module, path: Path) -> Path:
    """Write a file as ``torch.jit.save`` does."""
    with importable(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module), str(path))
    return path


SPK = "schnetpack."


def schnetpack2(
    plain: Plain,
    postprocessors: tuple[nn.Module, ...] = (),
    pooling: str = "sum",
    outputs: tuple[nn.Module, ...] = (),
    representation: str = "schnet.SchNet",
    **attributes: object,
) -> nn.Module:
    """Return a model as SchNetPack 2 keeps it."""
    act, head_act = FUNCTIONS[plain.activation], FUNCTIONS[plain.head_activation]

    def interaction(block: list[tuple[Tensor, Tensor | None]]) -> nn.Module:
        in2f, first, second, hidden, out = block
        return make(
            SPK + "representation.schnet.SchNetInteraction",
            in2f=Dense(*in2f),
            filter_network=nn.Sequential(Dense(*first, act), Dense(*second)),
            f2out=nn.Sequential(Dense(*hidden, act), Dense(*out)),
        )

    if plain.basis == "bessel":
        basis = make(SPK + "nn.radial.BesselRBF", freqs=plain.frequencies, n_rbf=plain.gaussians)
    else:
        widths = torch.full((plain.gaussians,), plain.spacing)
        basis = make(SPK + "nn.radial.GaussianRBF", offsets=plain.centers, widths=widths)
    radius = torch.tensor([plain.radius])
    cutoffs = {
        "cosine": ("CosineCutoff", {"cutoff": radius}),
        "mollifier": ("MollifierCutoff", {"cutoff": radius, "eps": torch.tensor([1e-7])}),
        "switch": ("SwitchFunction", {"switch_on": torch.tensor([plain.onset]), "switch_off": radius}),
        "strange": ("StrangeCutoff", {"cutoff": radius}),
    }
    name, members = cutoffs[plain.cutoff]
    embedding = nn.Embedding.from_pretrained(plain.embedding, freeze=False)
    blocks = [interaction(block) for block in plain.layers]
    body = make(
        SPK + "representation." + representation,
        embedding=embedding,
        radial_basis=basis,
        cutoff_fn=make(SPK + "nn.cutoff." + name, **members),
        interactions=nn.ModuleList([blocks[0]] * len(blocks) if plain.shared else blocks),
        electronic_embeddings=nn.ModuleList(),
    )
    layers = [Dense(*layer, head_act) for layer in plain.head[:-1]] + [Dense(*plain.head[-1])]
    head = make(
        SPK + "atomistic.atomwise.Atomwise",
        outnet=nn.Sequential(*layers),
        aggregation_mode=pooling,
        output_key="energy",
    )
    forces = make(SPK + "atomistic.response.Forces", energy_key="energy", force_key="forces")
    return make(
        SPK + "model.base.NeuralNetworkPotential",
        representation=body,
        input_modules=nn.ModuleList([make(SPK + "atomistic.distances.PairwiseDistances")]),
        output_modules=nn.ModuleList([head, *outputs, forces]),
        postprocessors=nn.ModuleList(postprocessors),
        **{"do_postprocessing": True, **attributes},
    )


def schnetpack1(
    plain: Plain,
    version: str = "1",
    pooling: bool = False,
    average: bool = False,
    mean: float = 0.0,
    stddev: float = 1.0,
    atomref: Tensor | None = None,
    **attributes: object,
) -> nn.Module:
    """Return a model as SchNetPack 1 keeps it, or 0.2 with its other names."""
    act, head_act = FUNCTIONS[plain.activation], FUNCTIONS[plain.head_activation]
    radius = torch.tensor([plain.radius])
    cutoff = {
        "cosine": lambda: make(SPK + "nn.cutoff.CosineCutoff", cutoff=radius),
        "hard": lambda: make(SPK + "nn.cutoff.HardCutoff", cutoff=radius),
        "mollifier": lambda: make(
            SPK + "nn.cutoff.MollifierCutoff", cutoff=radius, eps=torch.tensor([1e-7])
        ),
        "none": lambda: None,
    }[plain.cutoff]

    def interaction(block: list[tuple[Tensor, Tensor | None]]) -> nn.Module:
        in2f, first, second, hidden, out = block
        filters = nn.Sequential(Dense(*first, act), Dense(*second))
        filters[1].activation = None  # as there, where it is no module
        agg = make(SPK + "nn.base.Aggregate", average=average)
        cfconv = make(SPK + "nn.cfconv.CFConv", in2f=Dense(*in2f), f2out=Dense(*hidden, act), agg=agg)
        members = {"filter_network": filters, "cfconv": cfconv, "dense": Dense(*out)}
        return make(SPK + "representation.schnet.SchNetInteraction", cutoff_network=cutoff(), **members)

    widths = torch.full((plain.gaussians,), plain.spacing)
    blocks = [interaction(block) for block in plain.layers]
    body = make(
        SPK + "representation.schnet.SchNet",
        embedding=nn.Embedding.from_pretrained(plain.embedding, freeze=False),
        distance_expansion=make(
            SPK + "nn.acsf.GaussianSmearing", offsets=plain.centers, width=widths, centered=False
        ),
        interactions=nn.ModuleList([blocks[0]] * len(blocks) if plain.shared else blocks),
        n_atom_basis=plain.features,
        **attributes,
    )
    layers = [Dense(*layer, head_act) for layer in plain.head[:-1]] + [Dense(*plain.head[-1])]
    mlp = make(SPK + "nn.blocks.MLP", out_net=nn.Sequential(*layers))
    old = version == "0.2"
    head = make(
        SPK + ("atomistic.Energy" if old else "atomistic.output_modules.Atomwise"),
        out_net=nn.Sequential(make(SPK + "nn.base.GetItem", key="representation"), mlp),
        standardize=make(
            SPK + "nn.base.ScaleShift", mean=torch.tensor([mean]), stddev=torch.tensor([stddev])
        ),
        atom_pool=make(SPK + "nn.base.Aggregate", average=pooling),
        atomref=None if atomref is None else nn.Embedding.from_pretrained(atomref),
        property="energy",
    )
    return make(
        SPK + ("atomistic.AtomisticModel" if old else "atomistic.model.AtomisticModel"),
        representation=body,
        output_modules=head if old else nn.ModuleList([head]),
        requires_dr=True,
        **({} if old else {"requires_stress": False}),
    )


PYG = "torch_geometric.nn."


def pytorch_geometric(
    plain: Plain, readout: str = "SumAggregation", neighbors: int = 32, **attributes: object
) -> nn.Module:
    """Return a model as PyTorch Geometric keeps it."""

    def layer(weight: Tensor, bias: Tensor | None) -> nn.Linear:
        made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        made.weight.data = weight.clone()
        if bias is not None:
            made.bias.data = bias.clone()
        return made

    def act() -> nn.Module:
        return make(PYG + "models.schnet.ShiftedSoftplus", shift=LN2)

    def interaction(block: list[tuple[Tensor, Tensor | None]]) -> nn.Module:
        in2f, first, second, hidden, out = block
        mlp = nn.Sequential(layer(*first), act(), layer(*second))
        conv = make(
            PYG + "models.schnet.CFConv",
            lin1=layer(*in2f),
            lin2=layer(*hidden),
            nn=mlp,
            cutoff=plain.radius,
        )
        conv.aggr = "add"
        return make(PYG + "models.schnet.InteractionBlock", mlp=mlp, conv=conv, act=act(), lin=layer(*out))

    graph = make(
        PYG + "models.schnet.RadiusInteractionGraph", cutoff=plain.radius, max_num_neighbors=neighbors
    )
    smearing = make(
        PYG + "models.schnet.GaussianSmearing", offset=plain.centers, coeff=-0.5 / plain.spacing**2
    )
    members = {"mean": None, "std": None, "scale": None, "dipole": False, "atomref": None, **attributes}
    return make(
        PYG + "models.schnet.SchNet",
        embedding=nn.Embedding.from_pretrained(plain.embedding, freeze=False),
        distance_expansion=smearing,
        interactions=nn.ModuleList(interaction(block) for block in plain.layers),
        lin1=layer(*plain.head[0]),
        act=act(),
        lin2=layer(*plain.head[1]),
        readout=make(PYG + "aggr.basic." + readout),
        cutoff=plain.radius,
        **{"interaction_graph": graph, **members},
    )
