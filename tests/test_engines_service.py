import runpy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from engine_pages import expected, paragraphs, texts

pytest.importorskip("fastapi", reason="the example needs fastapi")
pytest.importorskip("httpx", reason="fastapi's test client needs httpx")

from fastapi.testclient import TestClient


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(runpy.run_path(str(Path(__file__).parent.parent / "examples" / "service.py"))["app"])


def test_it_answers_what_the_labeler_says_also_to_several_at_once(client: TestClient) -> None:
    def ask(text: str) -> dict[str, list[object]]:
        answer = client.post("/label", json={"paragraphs": paragraphs(text)})
        assert answer.status_code == 200
        return dict(answer.json())

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, texts()))
    for answer, want in zip(answers, expected(texts()), strict=True):
        assert answer == {"labels": want["pagelabel_labels"], "scores": want["pagelabel_scores"]}


def test_an_empty_page_and_one_that_is_none(client: TestClient) -> None:
    assert client.post("/label", json={"paragraphs": []}).json() == {"labels": [], "scores": []}
    assert client.post("/label", json={"paragraphs": "Donate"}).status_code == 422
