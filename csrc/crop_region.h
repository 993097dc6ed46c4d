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

// Sums of neighbours: half as many, in place.
template <int channels>
void fold_sums(uint16_t* sums, int count) {
  for (int i = 0; i < count; ++i)
    for (int c = 0; c < channels; ++c)
      sums[i * channels + c] =
          static_cast<uint16_t>(sums[2 * i * channels + c] + sums[(2 * i + 1) * channels + c]);
}

// One row of `blocks` block means; `y` is its first frame row. 16 x 16 x 255 still fits a sum of 16 bits.
template <int channels>
void average_row(const PlaneView& plane, int level, int y, int64_t from_px, int blocks, uint16_t* sums, uint8_t* out) {
  static_assert(kMaxLevel <= 4, "sums of a block must fit 16 bits");
  const int side = 1 << level;
  const int64_t width_px = plane.width_px - from_px;
  int pairs = blocks * side / 2, done = 0;
  for (int i = 0; i < side; i += 2) {
    const int last = plane.height_px - 1;
    const int upper_y = y + i < last ? y + i : last, lower_y = y + i + 1 < last ? y + i + 1 : last;
    const uint8_t* upper = plane.data + upper_y * plane.row_stride + from_px * channels;
    const uint8_t* lower = plane.data + lower_y * plane.row_stride + from_px * channels;
    if (level == 1) {
      done = average_pairs<channels>(upper, lower, width_px, pairs, out);
      sum_pairs<channels, true>(upper + 2 * done * channels, lower + 2 * done * channels, width_px - 2 * done,
                                pairs - done, sums);
    } else if (i == 0)
      sum_pairs<channels, true>(upper, lower, width_px, pairs, sums);
    else
      sum_pairs<channels, false>(upper, lower, width_px, pairs, sums);
  }
  for (; pairs > blocks; pairs /= 2) fold_sums<channels>(sums, pairs / 2);
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
  const size_t row_sums = static_cast<size_t>(blocks) * side * plane.channels / 2 + 8;
  uint16_t* sums = reinterpret_cast<uint16_t*>(scratch.reserve(2, row_sums * sizeof(uint16_t)));
  const auto average = plane.channels == 3 ? average_row<3> : plane.channels == 2 ? average_row<2> : average_row<1>;
  const int64_t stride = static_cast<int64_t>(blocks) * plane.channels;
  uint8_t* out = scratch.reserve(slot, static_cast<size_t>(stride) * rows + 8);
  for (int i = 0; i < rows; ++i)
    average(plane, level, (region.y0 + i) * side, from_px, blocks, sums, out + i * stride);
  return out;
}

}  // namespace
}  // namespace faceaffect
