// The part of a halved frame that one crop reads, made once per face: level_pixel() of crop_face.h for a rectangle. Needs Pairs (lanes.h).
#pragma once

#include "crop_face.h"
#include "lanes.h"
#include "scratch.h"

namespace faceaffect {
namespace {

// Pixels [x0, x1] x [y0, y1] of a plane at a level, both ends included.
struct Region {
  int x0, y0, x1, y1;
};

inline int floor_within(float value, int low, int high) {
  return static_cast<int>(clamp_to(value, static_cast<float>(low), static_cast<float>(high)));
}

// What bilinear taps and loads of up to 8 bytes touch around positions in [low, high] x [low, high].
inline Region region_around(const float* low_xy, const float* high_xy, int width_px, int height_px) {
  Region region;
  region.x0 = floor_within(low_xy[0], 0, width_px - 1);
  region.y0 = floor_within(low_xy[1], 0, height_px - 1);
  region.x1 = floor_within(high_xy[0], 0, width_px - 1) + 3;
  region.y1 = floor_within(high_xy[1], 0, height_px - 1) + 1;
  if (region.x1 > width_px - 1) region.x1 = width_px - 1;
  if (region.y1 > height_px - 1) region.y1 = height_px - 1;
  return region;
}

// Adds two rows of `pairs` pairs of pixels to `sums` (sets them, when `first`). A row holds `width_px` pixels from its
// start on; the last is repeated. Writes up to 8 sums more than it means.
template <int channels, bool first>
void sum_pairs(const uint8_t* upper, const uint8_t* lower, int64_t width_px, int pairs, uint16_t* sums) {
  constexpr int step = channels == 3 ? 2 : 8 / channels;  // pairs in 16 bytes
  int pair = 0;
  for (; pair + step <= pairs && 2 * pair * channels + 16 <= width_px * channels; pair += step) {
    auto sum = Pairs::add(Pairs::sum<channels>(upper + 2 * pair * channels),
                          Pairs::sum<channels>(lower + 2 * pair * channels));
    if (!first) sum = Pairs::add(sum, Pairs::load(sums + pair * channels));
    Pairs::store(sums + pair * channels, sum);
  }
  for (; pair < pairs; ++pair) {
    const int64_t left = (2 * pair < width_px ? 2 * pair : width_px - 1) * channels;
    const int64_t right = (2 * pair + 1 < width_px ? 2 * pair + 1 : width_px - 1) * channels;
    for (int c = 0; c < channels; ++c) {
      const int sum = upper[left + c] + upper[right + c] + lower[left + c] + lower[right + c];
      sums[pair * channels + c] = static_cast<uint16_t>(first ? sum : sums[pair * channels + c] + sum);
    }
  }
}

// The same for a level of 1, whose sums of two rows are whole blocks already. Writes up to 8 bytes more than it means.
template <int channels>
int average_pairs(const uint8_t* upper, const uint8_t* lower, int64_t width_px, int pairs, uint8_t* out) {
  constexpr int step = channels == 3 ? 2 : 8 / channels;
  int pair = 0;
  for (; pair + step <= pairs && 2 * pair * channels + 16 <= width_px * channels; pair += step)
    Pairs::store_quarters(out + pair * channels, Pairs::add(Pairs::sum<channels>(upper + 2 * pair * channels),
                                                            Pairs::sum<channels>(lower + 2 * pair * channels)));
  return pair;
}

// Sums of a row of blocks before any is folded, and what wide stores may write behind them.
inline int64_t row_sums(int blocks, int side, int channels) { return static_cast<int64_t>(blocks) * side * channels + 16; }

constexpr int64_t kAhead = 256;  // bytes

// A hint only: the address may lie anywhere.
inline void prefetch(const uint8_t* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address);
#else
  (void)address;
#endif
}

// Four rows of bytes onto `sums` (sets them, when `first`); plain enough for a compiler to do many at once.
template <bool first>
void add_rows(const uint8_t* const* rows, int64_t count, int64_t next, uint16_t* sums) {
  const uint8_t *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
  for (int64_t from = 0; from < count; from += kAhead) {
    const int64_t to = from + kAhead < count ? from + kAhead : count;
    for (int r = 0; r < 4; ++r)
      for (int64_t i = 0; i < kAhead; i += 64) prefetch(rows[r] + next + from + i);
    for (int64_t i = from; i < to; ++i) {
      const int sum = (a[i] + b[i]) + (c[i] + d[i]);
      sums[i] = static_cast<uint16_t>(first ? sum : sums[i] + sum);
    }
  }
}

// Sums of neighbours: half as many. Reads and writes up to 8 sums more than it means.
template <int channels>
void fold_sums(const uint16_t* from, int count, uint16_t* to) {
  if (channels == 3) {  // each store begins with the sums that it means; the next one writes over the rest
    for (int i = 0; i < count; ++i)
      Pairs::store(to + 3 * i, Pairs::add(Pairs::load(from + 6 * i), Pairs::load(from + 6 * i + 3)));
    return;
  }
  for (int i = 0; i < count; ++i)
    for (int c = 0; c < channels; ++c)
      to[i * channels + c] = static_cast<uint16_t>(from[2 * i * channels + c] + from[(2 * i + 1) * channels + c]);
}

// One row of `blocks` block means; `y` is its first frame row. 16 x 16 x 255 still fits a sum of 16 bits. `sums` holds twice
// what row_sums() says.
template <int channels>
void average_row(const PlaneView& plane, int level, int y, int64_t from_px, int blocks, uint16_t* sums, uint8_t* out) {
  static_assert(kMaxLevel <= 4, "sums of a block must fit 16 bits");
  const int side = 1 << level, last = plane.height_px - 1;
  const int64_t width_px = plane.width_px - from_px;
  const auto row = [&](int i) {
    return plane.data + (y + i < last ? y + i : last) * plane.row_stride + from_px * channels;
  };
  int done = 0;
  if (level == 1) {
    const uint8_t *upper = row(0), *lower = row(1);
    done = average_pairs<channels>(upper, lower, width_px, blocks, out);
    sum_pairs<channels, true>(upper + 2 * done * channels, lower + 2 * done * channels, width_px - 2 * done, blocks - done,
                              sums);
  } else {
    // Down first, then across: the rows are read once, and across there is a fourth or less of them left.
    const int64_t wanted_px = static_cast<int64_t>(blocks) * side, there_px = wanted_px < width_px ? wanted_px : width_px;
    for (int i = 0; i < side; i += 4) {
      const uint8_t* const rows[4] = {row(i), row(i + 1), row(i + 2), row(i + 3)};
      (i == 0 ? add_rows<true> : add_rows<false>)(rows, there_px * channels, 4 * plane.row_stride, sums);
    }
    for (int64_t i = there_px * channels; i < wanted_px * channels; ++i) sums[i] = sums[i - channels];
    uint16_t* other = sums + row_sums(blocks, side, channels);
    for (int count = static_cast<int>(wanted_px / 2); count >= blocks; count /= 2) {
      fold_sums<channels>(sums, count, other);
      uint16_t* const folded = other;
      other = sums, sums = folded;
    }
  }
  const int half = 1 << (2 * level - 1), shift = 2 * level;
  out += done * channels;
  for (int i = 0; i < (blocks - done) * channels; ++i) {
    const uint16_t rounded = static_cast<uint16_t>(sums[i] + half);
    out[i] = static_cast<uint8_t>(rounded >> shift);
  }
}

// Writes the region, rows without gaps, into scratch `slot`; slot 2 holds the sums of a row.
inline const uint8_t* halve_region(const PlaneView& plane, int level, const Region& region, int slot,
                                   Scratch& scratch) {
  const int side = 1 << level, blocks = region.x1 - region.x0 + 1, rows = region.y1 - region.y0 + 1;
  const int64_t from_px = static_cast<int64_t>(region.x0) * side;
  const size_t size = 2 * static_cast<size_t>(row_sums(blocks, side, plane.channels));
  uint16_t* sums = reinterpret_cast<uint16_t*>(scratch.reserve(2, size * sizeof(uint16_t)));
  const auto average = plane.channels == 3 ? average_row<3> : plane.channels == 2 ? average_row<2> : average_row<1>;
  const int64_t stride = static_cast<int64_t>(blocks) * plane.channels;
  uint8_t* out = scratch.reserve(slot, static_cast<size_t>(stride) * rows + 8);
  for (int i = 0; i < rows; ++i)
    average(plane, level, (region.y0 + i) * side, from_px, blocks, sums, out + i * stride);
  return out;
}

}  // namespace
}  // namespace faceaffect
