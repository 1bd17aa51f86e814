"""What keeping views up costs: a recount grows with the comments, a difference does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.site.comments.cost import Recounted, compare

if TYPE_CHECKING:
    from labkit.newsroom import Newsroom


def test_a_recount_grows_with_the_comments_and_a_difference_does_not(
    client: Any, db: Newsroom
) -> None:
    table = compare(db, client, (10, 40, 160))
    recounted, incremental = table.loc["recounted"], table.loc["incremental"]
    assert list(recounted.index) == [10, 40, 160]
    # The article and a tenth of it by the reader, and the comment itself.
    assert list(recounted["rows"]) == [12, 45, 177]
    assert list(recounted["reads"]) == [3] * 3
    assert recounted["bytes"].loc[160] > 3 * recounted["bytes"].loc[40] / 2
    assert list(incremental["rows"]) == list(incremental["commands"]) == [1] * 3
    assert list(incremental["trips"]) == [1] * 3
    assert max(incremental["bytes"]) - min(incremental["bytes"]) < 10
    assert client.dbsize() == 0


def test_a_recount_is_what_the_database_says(client: Any, db: Newsroom) -> None:
    recounted = Recounted(db, client, "r")
    parent = db.add_comment(17, "ada", "Yes.").id
    reply = db.add_comment(17, "bob", "No.", parent=parent).id
    db.vote(reply, "ada", 1)
    for comment in db.comments_of([parent, reply]).values():
        recounted.apply(comment)
    best = [int(member[-19:]) for member in client.zrange("r:best:17", 0, -1)]
    assert best == [comment.id for comment in db.comments_page(17, "best")]
    assert client.hget("r:counts", "17") == str(db.comment_count(17))
    assert client.hgetall("r:totals:bob") == {"comments": "1", "score": "1"}
    assert client.zcard(f"r:replies:{parent}") == 1
    db.hide_comment(reply)
    recounted.apply(db.comments_of([reply])[reply])
    assert client.zcard(f"r:replies:{parent}") == 0
