"""Lines in one piece, of which some are replaced."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.store.page import Column

texts = st.binary(max_size=4)


@given(known=st.lists(texts, max_size=6), data=st.data())
def test_patched(known: list[bytes], data: st.DataObject) -> None:
    """Whatever is replaced, and by texts of any length: it is as if it had been put together anew."""
    changes = data.draw(st.dictionaries(st.sampled_from(range(len(known))), texts) if known else st.just({}))
    now = [changes.get(run, text) for run, text in enumerate(known)]

    assert Column.of(known).patched(dict(sorted(changes.items()))) == Column.of(now)
