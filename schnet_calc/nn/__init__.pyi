from .activation import ACTIVATIONS as ACTIVATIONS, ShiftedSoftplus as ShiftedSoftplus
from .basis import (
    BesselBasis as BesselBasis,
    CutoffFunction as CutoffFunction,
    GaussianBasis as GaussianBasis,
)
from .config import (
    MAX_ATOMIC_NUMBER as MAX_ATOMIC_NUMBER,
    DTNNConfig as DTNNConfig,
    MeanSchNetConfig as MeanSchNetConfig,
    NetworkConfig as NetworkConfig,
    SchNetConfig as SchNetConfig,
)
from .dtnn import DTNN as DTNN, TensorLayer as TensorLayer
from .heads import AtomwiseHead as AtomwiseHead
from .mean_schnet import MeanSchNet as MeanSchNet
from .network import (
    DistanceNetwork as DistanceNetwork,
    Network as Network,
    upgraded_weights as upgraded_weights,
)
from .registry import (
    ARCHITECTURES as ARCHITECTURES,
    Architecture as Architecture,
    architecture_of as architecture_of,
    make_network as make_network,
    network_config as network_config,
    register as register,
)
from .schnet import (
    CFConv as CFConv,
    FilterNetwork as FilterNetwork,
    Interaction as Interaction,
    SchNet as SchNet,
)
