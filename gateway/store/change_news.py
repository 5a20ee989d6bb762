"""News of changes that any process at the database commits, by kind."""

from collections.abc import Callable, Iterable

from gateway.store.announcements import Announcements


class Topic:
    """`gateway.news.News` of one kind of change."""

    def __init__(self) -> None:
        self.certain = False
        self.announcements = Announcements()

    def listen(self, listener: Callable[[], None]) -> None:
        """See `News.listen`."""
        self.announcements.listen(listener)


class ChangeNews:
    """The topics of a database, and whether they are certain, which is so for all or none of them."""

    def __init__(self, names: Iterable[str]) -> None:
        self.topics = {name: Topic() for name in names}

    def tell(self, name: str) -> None:
        """Something of the topic *name* was committed. A name that a newer program uses is nobody's."""
        topic = self.topics.get(name)
        if topic is not None:
            topic.announcements.announce()

    def become(self, *, certain: bool) -> None:
        """What is committed from now on is told, or is not. Listeners look in either case: something may
        have been missed before, or will be.
        """
        changed = [topic for topic in self.topics.values() if topic.certain is not certain]
        for topic in changed:
            topic.certain = certain
        for topic in changed:
            topic.announcements.announce()
