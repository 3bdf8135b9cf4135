"""A flattened dump, as `makedumpfile -F` writes it (Debian always does): pieces of the file in the order of writing.

A header before each piece gives its offset and length in the file; there is no index of the pieces. The beginning of
the stream is walked. Beyond it a piece is found by bisection, because each region was written in order.
"""

import re
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from lambdas.runtime.errors import VmcoreUnreadable
from lambdas.vmcore.budget import Cost
from lambdas.vmcore.bytes_by_range import BytesByRange

SIGNATURE = b"makedumpfile"
# Signature (16 bytes), type and version (8 each), big-endian; padded to a page.
_FIRST_PIECE = 4096
_HEADER = struct.Struct(">qq")
_END = _HEADER.pack(-1, -1)
# makedumpfile collects 64 KiB before it writes (page size << block order 4), of 64 KiB pages 1 MiB.
_LARGEST_PIECE = 4 * 1024**2
_LARGEST_HOLE = 64 * 1024
# Big-endian, an offset below 256 TiB, a length below 16 MiB and not 0; in a lookahead, so that matches may overlap.
_MAY_BE_HEADER = re.compile(rb"(?=\x00\x00.{6}\x00{5}(?!\x00{3})...)", re.DOTALL)
# So many valid headers in a row do not occur by chance.
_PIECES_IN_A_ROW = 4
_WINDOW_BYTES = 128 * 1024
_END_BYTES = 512 * 1024
_WALKED_BYTES = 4 * 1024**2
# A piece of descriptors (64 KiB) is written with 2,730 pages of data of 4 KiB at most.
_NEXT_IS_WITHIN = 16 * 1024**2


class _Piece(NamedTuple):
    offset: int
    size: int
    #: The position of its data in the stream.
    position: int

    @property
    def end(self) -> int:
        """The position of its end in the stream."""
        return self.position + self.size


def _holds(piece: _Piece, offset: int) -> bool:
    return piece.offset <= offset < piece.offset + piece.size


class PieceNotFound(VmcoreUnreadable):
    """No piece was found for an offset: the dump is damaged, or its pieces have another order."""


class Flattened:
    """The dump's bytes by their offset in the file."""

    def __init__(self, stream: BytesByRange) -> None:
        self._stream = stream
        self.budget = stream.budget
        self._known: list[_Piece] = []
        self._walked_to = _FIRST_PIECE
        # The borders between regions: pieces of two regions are mixed, those of one region are in order.
        self._borders: tuple[int, ...] = ()
        self._require_end()

    def divide(self, *borders: int) -> None:
        """Sets the borders between regions. Call it as soon as they are known."""
        self._borders = borders

    def read(self, offset: int, size: int) -> bytes:
        """Raises VmcoreUnreadable if the dump is truncated or damaged."""
        out = bytearray()
        while len(out) < size:
            at = offset + len(out)
            if out:
                self.budget.spend(Cost.PARTS)
            piece = self._find(at)
            if piece is None:
                out += bytes(min(self._hole(at), size - len(out)))
                continue
            begin = at - piece.offset
            out += self._stream.read(piece.position + begin, min(piece.size - begin, size - len(out)))
        return bytes(out)

    def _require_end(self) -> None:
        """The mark that makedumpfile writes when it is through; the last pieces may be a header written again."""
        size = self._stream.size_bytes
        if size < _FIRST_PIECE + _HEADER.size or self._stream.read(size - _HEADER.size, _HEADER.size) != _END:
            raise VmcoreUnreadable("The dump is truncated: the end mark of makedumpfile -F is missing.")
        for piece in self._walk(self._end_begins_at(size)):
            self._note(piece)

    def _end_begins_at(self, size: int) -> int:
        return self._synchronise(size - _END_BYTES) if size > _FIRST_PIECE + _END_BYTES else _FIRST_PIECE

    def _hole(self, offset: int) -> int:
        """The number of bytes from `offset` on that were never written. They are zeros, as at the end of a bitmap."""
        place = bisect_right(self._known, (offset, _LARGEST_PIECE + 1))
        size = self._known[place].offset - offset if place < len(self._known) else _LARGEST_PIECE
        if size > _LARGEST_HOLE:
            raise PieceNotFound(f"The dump has no piece for offset {offset}.")
        return size

    def _find(self, offset: int) -> _Piece | None:
        found = self._among_known(offset)
        while found is None and self._walked_to < _WALKED_BYTES:
            piece = next(self._walk(self._walked_to), None)
            if piece is None:
                break
            self._note(piece)
            self._walked_to = piece.end
            found = piece if _holds(piece, offset) else None
        return found or self._search(offset)

    def _note(self, piece: _Piece) -> None:
        place = bisect_left(self._known, (piece.offset,))
        if place == len(self._known) or self._known[place].offset != piece.offset:
            self._known.insert(place, piece)
        elif self._known[place].position < piece.position:
            # The piece that was written later is valid.
            self._known[place] = piece

    def _among_known(self, offset: int) -> _Piece | None:
        piece = self._below(offset)
        return piece if piece is not None and _holds(piece, offset) else None

    def _below(self, offset: int) -> _Piece | None:
        place = bisect_right(self._known, (offset, _LARGEST_PIECE + 1))
        return self._known[place - 1] if place else None

    def _region(self, offset: int) -> int:
        return bisect_right(self._borders, offset)

    def _search(self, offset: int) -> _Piece | None:
        """Bisects the stream between the nearest known piece and the end."""
        low = self._below(offset)
        is_near = low is not None and self._region(low.offset) == self._region(offset)
        begin = max(low.end, self._walked_to) if low is not None and is_near else self._walked_to
        end = self._stream.size_bytes - _HEADER.size
        ahead = self._next_of_region(begin, offset)
        while ahead is not None and not _holds(ahead, offset) and end - begin > 2 * _NEXT_IS_WITHIN:
            middle = begin + (end - begin) // 2
            ahead = self._next_of_region(self._synchronise(middle), offset)
            if ahead is None or ahead.offset > offset:
                # The wanted piece begins before the middle.
                end, ahead = middle, self._next_of_region(begin, offset)
            else:
                begin = ahead.position - _HEADER.size
        while ahead is not None and ahead.offset <= offset and not _holds(ahead, offset):
            ahead = self._next_of_region(ahead.end, offset)
        return ahead if ahead is not None and _holds(ahead, offset) else None

    def _next_of_region(self, position: int, offset: int) -> _Piece | None:
        """The first piece from `position` on in the region of `offset`."""
        for piece in self._walk(position):
            self._note(piece)
            if self._region(piece.offset) == self._region(offset):
                return piece
            if piece.end - position > _NEXT_IS_WITHIN:
                return None
        return None

    def _walk(self, position: int) -> Iterator[_Piece]:
        """Yields pieces from the header at `position` to the end mark."""
        while True:
            self.budget.spend(Cost.PIECES)
            header = self._stream.read(position, _HEADER.size)
            if header == _END:
                return
            offset, size = _HEADER.unpack(header)
            if not 0 < size <= _LARGEST_PIECE or offset < 0:
                raise VmcoreUnreadable(f"The dump is damaged: there is no piece at {position} of its stream.")
            piece = _Piece(offset, size, position + _HEADER.size)
            yield piece
            position = piece.end

    def _synchronise(self, position: int) -> int:
        """The first header of a piece from `position` on."""
        end = self._stream.size_bytes
        for begin in range(position, min(position + _LARGEST_PIECE, end), _WINDOW_BYTES):
            # A header may cross the border to the next window.
            window = self._stream.read(begin, min(_WINDOW_BYTES + _HEADER.size, end - begin))
            for candidate in _MAY_BE_HEADER.finditer(window):
                self.budget.spend(Cost.CANDIDATES)
                if self._is_piece(begin + candidate.start()):
                    return begin + candidate.start()
        return end - _HEADER.size

    def _is_piece(self, position: int) -> bool:
        for _ in range(_PIECES_IN_A_ROW):
            if position + _HEADER.size > self._stream.size_bytes:
                return False
            header = self._stream.read(position, _HEADER.size)
            if header == _END:
                return position + _HEADER.size == self._stream.size_bytes
            offset, size = _HEADER.unpack(header)
            if not 0 < size <= _LARGEST_PIECE or not 0 <= offset < 1 << 48:
                return False
            position += _HEADER.size + size
        return True
