"""The table: models by the line of the list that they stand for."""

from tests.conformance import attention, by_hand, control_flow, functional, modules, recurrent, stays_off, structure

LINES = {
    "modules": modules.CASES,
    "functional": functional.CASES,
    "recurrent": recurrent.CASES,
    "attention": attention.CASES,
    "by hand": by_hand.CASES,
    "stays off": stays_off.CASES,
    "control flow": control_flow.CASES,
    "structure": structure.CASES,
}
