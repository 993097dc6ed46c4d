// The part of a halved frame that one crop reads, made once per face: level_pixel() of crop_face.h for a rectangle.
#pragma once

#include "crop_face.h"
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

// Sums over the `side` rows from frame row `y` on, for `used` bytes from byte `from`; the last pixel is repeated to `wide`.
inline void sum_rows(const PlaneView& plane, int y, int side, int64_t from, int used, int wide, uint16_t* sums) {
  for (int i = 0; i < side; ++i) {
    const int row = y + i < plane.height_px ? y + i : plane.height_px - 1;
    const uint8_t* bytes = plane.data + row * plane.row_stride + from;
    if (i == 0)
      for (int k = 0; k < used; ++k) sums[k] = bytes[k];
    else
      for (int k = 0; k < used; ++k) sums[k] = static_cast<uint16_t>(sums[k] + bytes[k]);
  }
  for (int k = used; k < wide; ++k) sums[k] = sums[k - plane.channels];
}

template <int channels>
void average_blocks(const uint16_t* sums, int blocks, int level, uint8_t* out) {
  const int side = 1 << level, half = 1 << (2 * level - 1);
  for (int block = 0; block < blocks; ++block, sums += side * channels, out += channels) {
    int total[channels];
    for (int c = 0; c < channels; ++c) total[c] = half;
    for (int j = 0; j < side; ++j)
      for (int c = 0; c < channels; ++c) total[c] += sums[j * channels + c];
    for (int c = 0; c < channels; ++c) out[c] = static_cast<uint8_t>(total[c] >> (2 * level));
  }
}

// Writes the region, rows without gaps, into scratch `slot`; slot 2 holds the sums of a row.
inline const uint8_t* halve_region(const PlaneView& plane, int level, const Region& region, int slot,
                                   Scratch& scratch) {
  const int side = 1 << level, blocks = region.x1 - region.x0 + 1, rows = region.y1 - region.y0 + 1;
  const int wide = blocks * side * plane.channels, stride = blocks * plane.channels;
  const int64_t from = static_cast<int64_t>(region.x0) * side * plane.channels;
  const int64_t left = static_cast<int64_t>(plane.width_px) * plane.channels - from;
  const int used = left < wide ? static_cast<int>(left) : wide;
  uint16_t* sums = reinterpret_cast<uint16_t*>(scratch.reserve(2, 2 * static_cast<size_t>(wide)));
  uint8_t* out = scratch.reserve(slot, static_cast<size_t>(stride) * rows);
  for (int i = 0; i < rows; ++i) {
    sum_rows(plane, (region.y0 + i) * side, side, from, used, wide, sums);
    uint8_t* row = out + static_cast<int64_t>(i) * stride;
    if (plane.channels == 3)
      average_blocks<3>(sums, blocks, level, row);
    else if (plane.channels == 2)
      average_blocks<2>(sums, blocks, level, row);
    else
      average_blocks<1>(sums, blocks, level, row);
  }
  return out;
}

}  // namespace
}  // namespace faceaffect
