// Downsamples the region of a frame that one crop reads, once per face: level_pixels() of
// crop_face.h for a rectangle. Needs SimdPairwise (simd.h).
#pragma once

#include "crop_face.h"
#include "simd.h"
#include "workspace.h"

namespace faceaffect {
namespace {

// Pixels [x0, x1] x [y0, y1] of a plane at a level, both ends included.
struct DownsampleRoi {
  int x0, y0, x1, y1;
};

inline int floor_within(float value, int low, int high) {
  return static_cast<int>(clamp_to(value, static_cast<float>(low), static_cast<float>(high)));
}

// Pixels touched by bilinear taps and loads of up to 8 bytes at positions in [low, high] x [low,
// high].
inline DownsampleRoi roi_around(const float* low_xy, const float* high_xy, int width_px,
                                int height_px) {
  DownsampleRoi roi;
  roi.x0 = floor_within(low_xy[0], 0, width_px - 1);
  roi.y0 = floor_within(low_xy[1], 0, height_px - 1);
  roi.x1 = floor_within(high_xy[0], 0, width_px - 1) + 3;
  roi.y1 = floor_within(high_xy[1], 0, height_px - 1) + 1;
  if (roi.x1 > width_px - 1) roi.x1 = width_px - 1;
  if (roi.y1 > height_px - 1) roi.y1 = height_px - 1;
  return roi;
}

// Computes `pairs` sums of 2 x 2 pixels of two rows. A row holds `width_px` pixels; the last one is
// repeated.
template <int channels>
void sum_pairs(const uint8_t* upper, const uint8_t* lower, int64_t width_px, int pairs,
               uint16_t* sums) {
  for (int pair = 0; pair < pairs; ++pair) {
    const int64_t left = (2 * pair < width_px ? 2 * pair : width_px - 1) * channels;
    const int64_t right = (2 * pair + 1 < width_px ? 2 * pair + 1 : width_px - 1) * channels;
    for (int c = 0; c < channels; ++c) {
      const int sum = upper[left + c] + upper[right + c] + lower[left + c] + lower[right + c];
      sums[pair * channels + c] = static_cast<uint16_t>(sum);
    }
  }
}

// Computes the means of as many pairs as full vector loads allow and returns their number. Writes
// up to 8 bytes past the result.
template <int channels>
int average_pairs(const uint8_t* upper, const uint8_t* lower, int64_t width_px, int pairs,
                  uint8_t* out) {
  constexpr int step = channels == 3 ? 2 : 8 / channels;  // pairs in 16 bytes
  int pair = 0;
  for (; pair + step <= pairs && 2 * pair * channels + 16 <= width_px * channels; pair += step)
    SimdPairwise::store_quarters(
        out + pair * channels,
        SimdPairwise::add(SimdPairwise::sum<channels>(upper + 2 * pair * channels),
                          SimdPairwise::sum<channels>(lower + 2 * pair * channels)));
  return pair;
}

// Number of blocks averaged at a time, and room for their sums of four columns plus the overrun of
// wide stores.
constexpr int kBlocks = 16;
constexpr int kSums = kBlocks * (1 << kMaxLevel) / 4 * 3 + 16;

// Only a hint: the address may be invalid.
inline void prefetch(const uint8_t* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address);
#else
  (void)address;
#endif
}

// Computes the first sums with full registers where simd_pairwise_x86.h has wide operations;
// returns their number.
template <int channels, typename P>
int sum_wide_fours(const uint8_t* const* rows, int count, int64_t width_px, int fours,
                   uint16_t* sums) {
  int four = 0;
  if constexpr (channels == 3 && P::kHasWide) {
    for (; four + P::kWideFours <= fours && 12 * four + P::kWideBytes <= width_px * 3;
         four += P::kWideFours) {
      const int at = 12 * four;
      auto sum = P::wide_add(P::wide_sum(rows[0] + at), P::wide_sum(rows[1] + at));
      for (int i = 2; i < count; i += 2)
        sum =
            P::wide_add(sum, P::wide_add(P::wide_sum(rows[i] + at), P::wide_sum(rows[i + 1] + at)));
      P::wide_store(sums + 3 * four, sum);
    }
  }
  return four;
}

// Computes `fours` sums over four columns and `count` rows (an even number). A row holds `width_px`
// pixels; the last one is repeated. Writes up to 4 sums past the result.
template <int channels>
void sum_fours(const uint8_t* const* rows, int count, int64_t width_px, int fours, uint16_t* sums) {
  constexpr int step = channels == 3 ? 1 : 4 / channels;  // fours in 16 bytes
  int four = sum_wide_fours<channels, SimdPairwise>(rows, count, width_px, fours, sums);
  for (; four + step <= fours && 4 * four * channels + 16 <= width_px * channels; four += step) {
    const int at = 4 * four * channels;
    auto sum = SimdPairwise::add(SimdPairwise::sum_in_fours<channels>(rows[0] + at),
                                 SimdPairwise::sum_in_fours<channels>(rows[1] + at));
    for (int i = 2; i < count; ++i)
      sum = SimdPairwise::add(sum, SimdPairwise::sum_in_fours<channels>(rows[i] + at));
    SimdPairwise::store_fours(sums + four * channels, sum);
  }
  for (; four < fours; ++four)
    for (int c = 0; c < channels; ++c) {
      int sum = 0;
      for (int i = 0; i < count; ++i)
        for (int64_t x = 4 * four; x < 4 * four + 4; ++x)
          sum += rows[i][(x < width_px ? x : width_px - 1) * channels + c];
      sums[four * channels + c] = static_cast<uint16_t>(sum);
    }
}

// Computes means of 4 x 4 blocks from their two middle rows with full registers; returns their
// number. Prefetches the data `next` bytes ahead.
template <int channels, typename P>
int average_wide_fours(const uint8_t* upper, const uint8_t* lower, int64_t next, int64_t width_px,
                       int blocks, uint8_t* out) {
  int block = 0;
  if constexpr (channels == 3 && P::kHasWide) {
    for (; block + P::kWideFours <= blocks && 12 * block + P::kWideBytes <= width_px * 3;
         block += P::kWideFours) {
      const int at = 12 * block;
      prefetch(upper + next + at);
      prefetch(lower + next + at);
      P::wide_store_eighths(out + 3 * block,
                            P::wide_add(P::wide_sum(upper + at), P::wide_sum(lower + at)));
    }
  }
  return block;
}

// Adds adjacent sums, which halves their number. Reads and writes up to 8 sums past the end.
template <int channels>
void fold_pairs(const uint16_t* from, int count, uint16_t* to) {
  if (channels == 3) {  // each store starts with valid sums; the next store overwrites the rest
    for (int i = 0; i < count; ++i)
      SimdPairwise::store(to + 3 * i, SimdPairwise::add(SimdPairwise::load(from + 6 * i),
                                                        SimdPairwise::load(from + 6 * i + 3)));
    return;
  }
  for (int i = 0; i < count; ++i)
    for (int c = 0; c < channels; ++c)
      to[i * channels + c] =
          static_cast<uint16_t>(from[2 * i * channels + c] + from[(2 * i + 1) * channels + c]);
}

// Rounds the sums of blocks to means.
inline void round_sums(const uint16_t* sums, int count, int level, uint8_t* out) {
  const int shift = sum_shift(level), half = 1 << (shift - 1);
  for (int i = 0; i < count; ++i) {
    const uint16_t rounded = static_cast<uint16_t>(sums[i] + half);
    out[i] = static_cast<uint8_t>(rounded >> shift);
  }
}

// Computes `blocks` means of 2 x 2 pixels starting at pixel `from_px` of row y.
template <int channels>
void average_row_of_two(const PlaneView& plane, int y, int64_t from_px, int blocks, uint8_t* out) {
  const int64_t width_px = plane.width_px - from_px;
  const uint8_t* upper = plane.data + y * plane.row_stride + from_px * channels;
  const uint8_t* lower = y + 1 < plane.height_px ? upper + plane.row_stride : upper;
  const int done = average_pairs<channels>(upper, lower, width_px, blocks, out);
  uint16_t sums[8 * kBlocks + 16];
  for (int from = done; from < blocks; from += kBlocks) {
    const int count = blocks - from < kBlocks ? blocks - from : kBlocks;
    sum_pairs<channels>(upper + 2 * from * channels, lower + 2 * from * channels,
                        width_px - 2 * from, count, sums);
    round_sums(sums, count * channels, 1, out + from * channels);
  }
}

// Computes `blocks` means of 2^level x 2^level pixels, level >= 2, starting at pixel `from_px` of
// row y. 16 x 8 x 255 fits a 16-bit sum.
template <int channels>
void average_row(const PlaneView& plane, int level, int y, int64_t from_px, int blocks,
                 uint8_t* out) {
  static_assert(kMaxLevel <= 4, "sums of a block must fit 16 bits");
  const int side = 1 << level, last = plane.height_px - 1;
  const int64_t next = side * plane.row_stride;
  uint16_t fours[kSums], pairs[kSums];
  const uint8_t* rows[1 << kMaxLevel];  // the rows that enter the mean
  int done = 0;
  if (level == 2) {
    const uint8_t* upper =
        plane.data + (y + 1 < last ? y + 1 : last) * plane.row_stride + from_px * channels;
    const uint8_t* lower =
        plane.data + (y + 2 < last ? y + 2 : last) * plane.row_stride + from_px * channels;
    done = average_wide_fours<channels, SimdPairwise>(upper, lower, next, plane.width_px - from_px,
                                                      blocks, out);
  }
  // A few blocks at a time, so that cache lines of the next row of blocks are prefetched meanwhile.
  for (int from = done; from < blocks; from += kBlocks) {
    const int count = blocks - from < kBlocks ? blocks - from : kBlocks;
    const int64_t x = from_px + static_cast<int64_t>(from) * side,
                  bytes = static_cast<int64_t>(count) * side * channels;
    int read = 0;
    for (int i = 0; i < side; ++i) {
      if (!row_counts(level, i)) continue;
      rows[read] = plane.data + (y + i < last ? y + i : last) * plane.row_stride + x * channels;
      for (int64_t ahead = 0; ahead < bytes; ahead += 64) prefetch(rows[read] + next + ahead);
      ++read;
    }
    sum_fours<channels>(rows, read, plane.width_px - x, count * side / 4, fours);
    if (level == 3) fold_pairs<channels>(fours, count, pairs);
    if (level == 4)
      fold_pairs<channels>(fours, 2 * count, pairs), fold_pairs<channels>(pairs, count, fours);
    round_sums(level == 3 ? pairs : fours, count * channels, level,
               out + static_cast<int64_t>(from) * channels);
  }
}

template <int channels>
void average_rows(const PlaneView& plane, int level, const DownsampleRoi& roi, uint8_t* out) {
  const int side = 1 << level, blocks = roi.x1 - roi.x0 + 1;
  const int64_t from_px = static_cast<int64_t>(roi.x0) * side;
  for (int row = roi.y0; row <= roi.y1; ++row, out += static_cast<int64_t>(blocks) * channels) {
    if (level == 1)
      average_row_of_two<channels>(plane, row * side, from_px, blocks, out);
    else
      average_row<channels>(plane, level, row * side, from_px, blocks, out);
  }
}

// Writes the region, rows without gaps, into workspace `slot`.
inline const uint8_t* downsample_roi(const PlaneView& plane, int level, const DownsampleRoi& roi,
                                     int slot, Workspace& workspace) {
  const int blocks = roi.x1 - roi.x0 + 1, rows = roi.y1 - roi.y0 + 1;
  uint8_t* out = workspace.reserve(slot, static_cast<size_t>(blocks) * plane.channels * rows + 8);
  const auto average = plane.channels == 3   ? average_rows<3>
                       : plane.channels == 2 ? average_rows<2>
                                             : average_rows<1>;
  average(plane, level, roi, out);
  return out;
}

}  // namespace
}  // namespace faceaffect
