"""The table: models by the line of the list that they stand for."""

from tests.conformance import (
    attention,
    by_hand,
    containers,
    control_flow,
    functional,
    graphs,
    modules,
    noise_layers,
    outputs,
    recurrent,
    state,
    stays_off,
    structure,
    timm_models,
    transformers_models,
)

LINES = {
    "modules": modules.CASES,
    "functional": functional.CASES,
    "recurrent": recurrent.CASES,
    "attention": attention.CASES,
    "by hand": by_hand.CASES,
    "noise layers": noise_layers.CASES,
    "stays off": stays_off.CASES,
    "control flow": control_flow.CASES,
    "structure": structure.CASES,
    "transformers": transformers_models.CASES,
    "timm": timm_models.CASES,
    "graphs": graphs.CASES,
    "outputs": outputs.CASES,
    "containers": containers.CASES,
    "state": state.CASES,
}
