"""Dropout written out by hand, in NumPy and as a torch layer: for reading, and as a second opinion in tests.

Read the files in this order: `mask` (which entries are kept), `dropout` (forward and backward), `original` (the
scaling of the first papers), `loss`, `mlp` and `sgd` (a classifier that trains with it), and `layer` (the same in
torch, beside `torch.nn.Dropout`).
"""

from mcdrop.scratch.dropout import dropout_backward as dropout_backward
from mcdrop.scratch.dropout import dropout_forward as dropout_forward
from mcdrop.scratch.dropout import dropout_keep as dropout_keep
from mcdrop.scratch.layer import HandDropout as HandDropout
from mcdrop.scratch.layer import apply_mask as apply_mask
from mcdrop.scratch.layer import sample_mask as sample_mask
from mcdrop.scratch.loss import cross_entropy as cross_entropy
from mcdrop.scratch.loss import cross_entropy_backward as cross_entropy_backward
from mcdrop.scratch.loss import softmax as softmax
from mcdrop.scratch.mask import draw_mask as draw_mask
from mcdrop.scratch.mask import share_dropped as share_dropped
from mcdrop.scratch.mlp import Dense as Dense
from mcdrop.scratch.mlp import Tape as Tape
from mcdrop.scratch.mlp import init_mlp as init_mlp
from mcdrop.scratch.mlp import loss_and_gradients as loss_and_gradients
from mcdrop.scratch.mlp import mlp_backward as mlp_backward
from mcdrop.scratch.mlp import mlp_forward as mlp_forward
from mcdrop.scratch.original import original_forward as original_forward
from mcdrop.scratch.original import scale_weight as scale_weight
from mcdrop.scratch.sgd import sgd_epoch as sgd_epoch
from mcdrop.scratch.sgd import sgd_step as sgd_step
