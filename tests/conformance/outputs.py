"""Outputs beyond one vector of classes: a class for each token or pixel, boxes, levels, sequences with states."""

import torch
import torch.nn.functional as F
import transformers
from torch import nn

from tests.conformance.case import Case, Net, normal

TOKENS = torch.tensor([[5, 9, 2, 7], [3, 3, 8, 0], [6, 1, 0, 0]])
IMAGES = (normal(3, 2, 8, 8),)


def bert_tagger() -> nn.Module:
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 12}
    config = transformers.BertConfig(vocab_size=10, max_position_embeddings=8, num_labels=3, **sizes)
    return transformers.BertForTokenClassification(config)


class LSTMTagger(nn.Module):
    """A class for every token: embedding, LSTM both ways, with dropout before, between and after its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.drop = nn.Embedding(10, 6), nn.Dropout(0.3)
        self.lstm = nn.LSTM(6, 4, 2, dropout=0.4, bidirectional=True, batch_first=True)
        self.classify = nn.Linear(8, 3)

    def forward(self, tokens):
        out, _ = self.lstm(self.drop(self.embed(tokens)))
        return self.classify(self.drop(out))


class UNet(nn.Module):
    """A class for every pixel: down, up, and across; whole channels dropped at the bottom."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.bottom = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.Dropout2d(0.4))
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.head = nn.Sequential(nn.Dropout2d(0.2), nn.Conv2d(8, 3, 1))

    def forward(self, x):
        across = self.down(x)
        return self.head(torch.cat([across, self.up(self.bottom(across))], dim=1))


class Pyramid(nn.Module):
    """Boxes and scores as one-stage detectors return them: a list with one map of anchors for each level."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Conv2d(2 if k == 0 else 4, 4, 3, stride=2, padding=1) for k in range(2))
        self.score, self.box, self.p = nn.Conv2d(4, 3, 1), nn.Conv2d(4, 4, 1), 0.3

    def forward(self, x):
        found = []
        for level in self.levels:
            x = F.dropout2d(level(x).relu(), self.p, self.training)
            found.append({"scores": self.score(x), "boxes": self.box(x).sigmoid()})
        return found


class Queries(nn.Module):
    """Boxes as DETR returns them: a fixed number of queries attends to the image."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.queries = nn.Conv2d(2, 8, 4, stride=4), nn.Parameter(torch.zeros(3, 8))
        self.decoder = nn.TransformerDecoderLayer(8, 2, 12, 0.2, batch_first=True)
        self.classes, self.box = nn.Linear(8, 3), nn.Linear(8, 4)

    def forward(self, x):
        memory = self.patches(x).flatten(2).transpose(1, 2)
        found = self.decoder(self.queries.expand(len(x), -1, -1), memory)
        return {"logits": self.classes(found), "boxes": self.box(found).sigmoid(), "aux": [self.classes(memory)]}


def image_by_image(m, images):
    """A dictionary for each image, as torchvision's detectors return them."""
    found = m.inner(images)
    pairs = zip(found["boxes"], found["logits"], strict=True)
    return [{"boxes": boxes, "scores": logits.amax(-1)} for boxes, logits in pairs]


def from_a_list(m, images):
    """Images of different sizes in, as many results out."""
    return [m.head(m.drop(m.body(image[None]).amax((2, 3)))) for image in images]


def with_states(m, x):
    out, (hidden, cell) = m.lstm(m.drop(x))
    return out, {"hidden": hidden.transpose(0, 1), "cell": cell.transpose(0, 1)}


def generated(m, x):
    """Each step's output is the next one's input."""
    steps, state = [], m.start(x)
    for _ in range(3):
        state = F.dropout(m.cell(x, state), 0.2, m.training)
        x = m.out(state)
        steps.append(x)
    return torch.stack(steps, dim=1)


CASES = [
    Case("a class for each token, BERT", bert_tagger, (TOKENS, (TOKENS > 0).long()), output="logits"),
    Case("a class for each token, LSTM", LSTMTagger, (TOKENS,)),
    Case("a class for each pixel, U-Net", UNet, IMAGES),
    Case("boxes on levels, a list of dictionaries", Pyramid, IMAGES),
    Case("boxes of queries, a dictionary", Queries, IMAGES),
    Case("boxes, a dictionary for each image", lambda: Net(image_by_image, inner=Queries()), IMAGES, batch_dim=None),
    Case(
        "images of different sizes in a list",
        lambda: Net(from_a_list, body=nn.Conv2d(2, 4, 3), drop=nn.Dropout(0.3), head=nn.Linear(4, 2)),
        ([normal(2, 8, 8), normal(2, 5, 6)],),
        batch_dim=None,
    ),
    Case(
        "each step of a sequence, and the states after it",
        lambda: Net(with_states, drop=nn.Dropout(0.2), lstm=nn.LSTM(3, 4, 2, dropout=0.4, batch_first=True)),
        (normal(3, 5, 3),),
    ),
    Case(
        "a sequence generated step by step",
        lambda: Net(generated, start=nn.Linear(3, 4), cell=nn.GRUCell(3, 4), out=nn.Linear(4, 3)),
        (normal(3, 3),),
    ),
]
