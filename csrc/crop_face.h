// out[b, c, y, x] = (sample(frame at level, position)[c] / 255 - mean[c]) / std[c]
//   frame uint8, any PixelFormat;  crop_to_frame float32 [N, 2, 3];  out float32 [N, 3, S, S] RGB
//
// position: crop_to_frame[b] . (x, y, 1), pixel centers at integer coordinates. It is computed in
//   float32 as (m0 x + m1 y) + m2 without fused operations: all implementations sample the same
//   point.
// level: number of times that the frame is halved before sampling, against aliasing: the smallest
//   level (at most kMaxLevel) at which one crop pixel spans at most 2 pixels. Pixel (i, j) at level
//   l is the mean of the block of 2^l x 2^l frame pixels from (i 2^l, j 2^l), rounded half up; a
//   block that extends past the right or lower edge repeats the edge. From level 2 on only the
//   middle two of each four rows are averaged: reading the pixels dominates the cost of cropping a
//   large face. Above a scale of 2^(kMaxLevel + 1) the crop aliases.
// sample: bilinear, black outside: the value at the nearest point inside the frame, weighted by the
//   coverage of the 1 px wide tent around the position.
// NV12, I420: luma and chroma are interpolated in their own planes (chroma samples are at the
//   centers of their 2 x 2 luma pixels), then converted by the frame's coefficients and clamped to
//   0..255.
#pragma once

#include "frame_view.h"
#include "normalize.h"

namespace faceaffect {

constexpr int kMaxLevel = 4;

struct CropParams {
  int size_px;
  NormalizeParams normalize;
};

// crop_to_frame [2, 3] relative to the frame downsampled to its pyramid level.
struct LevelTransform {
  float m[6];
  int level;
};

HOST_DEVICE LevelTransform transform_at_level(const float* crop_to_frame) {
  const float* m = crop_to_frame;
  const float x_step2 = m[0] * m[0] + m[3] * m[3];
  const float y_step2 = m[1] * m[1] + m[4] * m[4];
  const float step2 = x_step2 > y_step2 ? x_step2 : y_step2;
  LevelTransform transform = {{}, 0};
  float limit = 4.0f;
  for (; transform.level < kMaxLevel && step2 > limit; ++transform.level) limit *= 4.0f;
  const float shrink = 1.0f / static_cast<float>(1 << transform.level);
  for (int i = 0; i < 6; ++i) transform.m[i] = m[i] * shrink;
  transform.m[2] += 0.5f * shrink - 0.5f;
  transform.m[5] += 0.5f * shrink - 0.5f;
  return transform;
}

HOST_DEVICE float position_at(const float* row, int x, int y) {
  return (row[0] * static_cast<float>(x) + row[1] * static_cast<float>(y)) + row[2];
}

HOST_DEVICE int level_size(int size_px, int level) { return (size_px + (1 << level) - 1) >> level; }

HOST_DEVICE float clamp_to(float value, float low, float high) {
#if defined(__CUDA_ARCH__)
  return fminf(fmaxf(value, low), high);  // two instructions; positions and pixels are never NaN
#else
  return value < low ? low : (value > high ? high : value);
#endif
}

// Returns whether row i of a block is part of its mean.
HOST_DEVICE bool row_counts(int level, int i) { return level < 2 || ((i + 1) & 2) != 0; }

// Number of bits by which the sum of a block is shifted right (with rounding) to give its mean.
HOST_DEVICE int sum_shift(int level) { return level < 2 ? 2 * level : 2 * level - 1; }

// A byte of a frame; GPUs read it through their read-only cache.
HOST_DEVICE int load_byte(const uint8_t* at) {
#if defined(__CUDA_ARCH__)
  return __ldg(at);
#else
  return *at;
#endif
}

// The bytes of a chroma pixel in the halves of an integer, so that one addition sums up both.
HOST_DEVICE uint32_t load_chroma(const uint8_t* at) {
#if defined(__CUDA_ARCH__)
  return __byte_perm(__ldg(reinterpret_cast<const uint16_t*>(at)), 0, 0x4140);
#else
  return static_cast<uint32_t>(at[0]) | static_cast<uint32_t>(at[1]) << 16;
#endif
}

// Whether all pixels of two bytes lie at even addresses, as `load_chroma` requires.
HOST_DEVICE bool is_even(const PlaneView& plane) {
  return ((reinterpret_cast<uintptr_t>(plane.data) | static_cast<uintptr_t>(plane.row_stride)) &
          1) == 0;
}

// Sums of the chroma pixels in the blocks of a level that begin at `row`; each fits into 16 bits.
HOST_DEVICE void sum_chroma(const uint8_t* row, int64_t row_stride, int level, int left0, int left1,
                            int* sum0, int* sum1) {
  const int side = 1 << level;
  uint32_t both0 = 0, both1 = 0;
  for (int i = 0; i < side; ++i, row += row_stride) {
    if (!row_counts(level, i)) continue;
    const uint8_t* at0 = row + 2 * left0;
    const uint8_t* at1 = row + 2 * left1;
    for (int j = 0; j < side; j += 2, at0 += 4, at1 += 4) {
      both0 += load_chroma(at0) + load_chroma(at0 + 2);
      both1 += load_chroma(at1) + load_chroma(at1 + 2);
    }
  }
  sum0[0] = both0 & 0xffff, sum0[1] = both0 >> 16;
  sum1[0] = both1 & 0xffff, sum1[1] = both1 >> 16;
}

template <int channels>
HOST_DEVICE void write_means(const int* sum0, const int* sum1, int shift, float* first,
                             float* second) {
  const int half = (1 << shift) >> 1;
  for (int c = 0; c < channels; ++c) {
    first[c] = static_cast<float>((sum0[c] + half) >> shift);
    second[c] = static_cast<float>((sum1[c] + half) >> shift);
  }
}

// All channels of pixels (x0, y) and (x1, y), x0 <= x1, of the plane at a level of 1 or more.
template <int channels>
HOST_DEVICE void level_pixels(const PlaneView& plane, int level, int y, int x0, int x1,
                              float* first, float* second) {
  const int side = 1 << level, shift = sum_shift(level);
  const int left0 = x0 * side, left1 = x1 * side, top = y * side;
  const bool is_inside = left1 + side <= plane.width_px && top + side <= plane.height_px;
  int sum0[channels] = {}, sum1[channels] = {};
  const uint8_t* row = plane.data + top * plane.row_stride;
  if (channels == 2 && is_inside && is_even(plane)) {
    sum_chroma(row, plane.row_stride, level, left0, left1, sum0, sum1);
    write_means<channels>(sum0, sum1, shift, first, second);
    return;
  }
  for (int i = 0; i < side; ++i, row += top + i < plane.height_px ? plane.row_stride : 0) {
    if (!row_counts(level, i)) continue;
    if (is_inside) {  // nearly always; without clamping, pairs of pixels
      const uint8_t* at0 = row + left0 * channels;
      const uint8_t* at1 = row + left1 * channels;
      for (int j = 0; j < side; j += 2, at0 += 2 * channels, at1 += 2 * channels)
        for (int c = 0; c < channels; ++c) {
          sum0[c] += load_byte(at0 + c) + load_byte(at0 + channels + c);
          sum1[c] += load_byte(at1 + c) + load_byte(at1 + channels + c);
        }
      continue;
    }
    const int last_x = plane.width_px - 1;
    for (int j = 0; j < side; ++j) {
      const uint8_t* at0 = row + (left0 + j < last_x ? left0 + j : last_x) * channels;
      const uint8_t* at1 = row + (left1 + j < last_x ? left1 + j : last_x) * channels;
      for (int c = 0; c < channels; ++c) {
        sum0[c] += load_byte(at0 + c);
        sum1[c] += load_byte(at1 + c);
      }
    }
  }
  write_means<channels>(sum0, sum1, shift, first, second);
}

// All channels of a plane at a position: they share the taps and their weights.
template <int channels>
HOST_DEVICE void bilinear(const PlaneView& plane, int level, float y, float x, float* value) {
  const int last_x = level_size(plane.width_px, level) - 1,
            last_y = level_size(plane.height_px, level) - 1;
  const float in_x = clamp_to(x, 0.0f, static_cast<float>(last_x));
  const float in_y = clamp_to(y, 0.0f, static_cast<float>(last_y));
  const int x0 = static_cast<int>(in_x), y0 = static_cast<int>(in_y);
  const int x1 = x0 + 1 < last_x ? x0 + 1 : last_x, y1 = y0 + 1 < last_y ? y0 + 1 : last_y;
  const float x_weight = in_x - static_cast<float>(x0), y_weight = in_y - static_cast<float>(y0);
  float top_left[channels], top_right[channels], low_left[channels], low_right[channels];
  if (level == 0) {  // without loops over the pixels of a block
    const uint8_t* upper = plane.data + y0 * plane.row_stride;
    const uint8_t* lower = plane.data + y1 * plane.row_stride;
    for (int c = 0; c < channels; ++c) {
      top_left[c] = static_cast<float>(load_byte(upper + x0 * channels + c));
      top_right[c] = static_cast<float>(load_byte(upper + x1 * channels + c));
      low_left[c] = static_cast<float>(load_byte(lower + x0 * channels + c));
      low_right[c] = static_cast<float>(load_byte(lower + x1 * channels + c));
    }
  } else {
    level_pixels<channels>(plane, level, y0, x0, x1, top_left, top_right);
    level_pixels<channels>(plane, level, y1, x0, x1, low_left, low_right);
  }
  for (int c = 0; c < channels; ++c) {
    const float top = top_left[c] + x_weight * (top_right[c] - top_left[c]);
    const float low = low_left[c] + x_weight * (low_right[c] - low_left[c]);
    value[c] = top + y_weight * (low - top);
  }
}

// Coverage of the 1 px wide tent around `position` by [0, size): 1 inside, falling to 0 one pixel
// outside.
HOST_DEVICE float coverage(float position, int size) {
  const float from_low = position + 1.0f, from_high = static_cast<float>(size) - position;
  return clamp_to(from_low < from_high ? from_low : from_high, 0.0f, 1.0f);
}

HOST_DEVICE float chroma_position(float luma_position) { return luma_position * 0.5f - 0.25f; }

HOST_DEVICE float rgb_from_yuv(const YuvCoefficients& yuv, float luma, float u, float v, int c) {
  const float gray = yuv.luma_scale * (luma - yuv.luma_offset);
  const float blue = u - kChromaOffset, red = v - kChromaOffset;
  if (c == 0) return clamp_to(gray + yuv.v_to_red * red, 0.0f, 255.0f);
  if (c == 1) return clamp_to(gray + yuv.u_to_green * blue + yuv.v_to_green * red, 0.0f, 255.0f);
  return clamp_to(gray + yuv.u_to_blue * blue, 0.0f, 255.0f);
}

// Red, green and blue of the frame at a position of the level, before the coverage is applied.
HOST_DEVICE void sample_rgb(const FrameView& frame, int level, float y, float x, float* rgb) {
  float value[3];
  if (frame.pixel_format == PixelFormat::NV12) {
    float uv[2];
    bilinear<1>(frame.plane, level, y, x, value);
    bilinear<2>(frame.chroma, level, chroma_position(y), chroma_position(x), uv);
    for (int c = 0; c < 3; ++c) rgb[c] = rgb_from_yuv(frame.yuv, value[0], uv[0], uv[1], c);
  } else if (frame.pixel_format == PixelFormat::I420) {
    float u, v;
    bilinear<1>(frame.plane, level, y, x, value);
    bilinear<1>(frame.chroma, level, chroma_position(y), chroma_position(x), &u);
    bilinear<1>(frame.chroma_v, level, chroma_position(y), chroma_position(x), &v);
    for (int c = 0; c < 3; ++c) rgb[c] = rgb_from_yuv(frame.yuv, value[0], u, v, c);
  } else if (frame.pixel_format == PixelFormat::GRAY) {
    bilinear<1>(frame.plane, level, y, x, value);
    for (int c = 0; c < 3; ++c) rgb[c] = value[0];
  } else {
    const bool is_bgr = frame.pixel_format == PixelFormat::BGR;
    bilinear<3>(frame.plane, level, y, x, value);
    rgb[0] = is_bgr ? value[2] : value[0];
    rgb[1] = value[1];
    rgb[2] = is_bgr ? value[0] : value[2];
  }
}

// All channels of one crop pixel.
HOST_DEVICE void crop_face_pixel(const FrameView& frame, const LevelTransform& transform,
                                 const CropParams& params, int y, int x, float* value) {
  const float frame_x = position_at(transform.m, x, y),
              frame_y = position_at(transform.m + 3, x, y);
  const float covered = coverage(frame_x, level_size(frame.plane.width_px, transform.level)) *
                        coverage(frame_y, level_size(frame.plane.height_px, transform.level));
  sample_rgb(frame, transform.level, frame_y, frame_x, value);
  for (int c = 0; c < 3; ++c) value[c] = normalize_value(covered * value[c], params.normalize, c);
}

}  // namespace faceaffect
