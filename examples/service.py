"""Labels over HTTP: `pip install pagelabel fastapi uvicorn`, then `uvicorn service:app --workers 4` in this folder.

curl localhost:8000/label -H 'Content-Type: application/json' -d '{"paragraphs": ["Mayor resigns", "Donate now"]}'
"""

from fastapi import FastAPI
from pydantic import BaseModel

from pagelabel import Labeler

labeler = Labeler.load(threads=1)  # one for all requests: it may be shared between threads
app = FastAPI(title="pagelabel")


class Request(BaseModel):
    paragraphs: list[str]


@app.post("/label")
def label(request: Request) -> dict[str, list[str] | list[float] | None]:
    page = labeler.label(request.paragraphs)
    return {"labels": page.labels, "scores": page.scores}
