// A run of one crop row whose taps all lie inside the frame, several pixels at a time. Needs Lanes.
#pragma once

#include "crop_face.h"
#include "lanes.h"

namespace faceaffect {
namespace {

// A plane at its level as offsets from `data`: pixel (x, y) starts at y * stride + x * channels + shift.
struct PlaneAtLevel {
  const uint8_t* data;
  int stride;
  int shift;
};

struct RowSource {
  PlaneAtLevel plane, chroma;
  LevelMap map;
  float scale[3], offset[3];  // normalised = value * scale + offset, output order
  float low_xy[2], high_xy[2];  // positions in here read nothing outside, ends included
};

struct Point {
  Lanes::Int offset;
  Lanes::Float x_share, y_share;
};

inline Point locate(const PlaneAtLevel& plane, int channels, Lanes::Float x, Lanes::Float y) {
  const Lanes::Int x0 = Lanes::truncate(x), y0 = Lanes::truncate(y);
  const Lanes::Int column = Lanes::add_int(Lanes::mul_int(x0, Lanes::set_int(channels)), Lanes::set_int(plane.shift));
  return {Lanes::add_int(Lanes::mul_int(y0, Lanes::set_int(plane.stride)), column),
          Lanes::sub(x, Lanes::to_float(x0)), Lanes::sub(y, Lanes::to_float(y0))};
}

inline Lanes::Float blend(Lanes::Float a, Lanes::Float b, Lanes::Float share) {
  return Lanes::fma(share, Lanes::sub(b, a), a);
}

template <int left, int right>
Lanes::Float tap(Lanes::Int top_left, Lanes::Int top_right, Lanes::Int low_left, Lanes::Int low_right,
                 const Point& point) {
  return blend(blend(Lanes::byte<left>(top_left), Lanes::byte<right>(top_right), point.x_share),
               blend(Lanes::byte<left>(low_left), Lanes::byte<right>(low_right), point.x_share), point.y_share);
}

inline void store(const RowSource& source, int c, Lanes::Float value, float* out) {
  Lanes::store(out, Lanes::fma(value, Lanes::set(source.scale[c]), Lanes::set(source.offset[c])));
}

template <Layout layout>
void crop_lanes(const RowSource& source, Lanes::Float x, Lanes::Float y, int64_t plane_px, float* out) {
  if (layout == Layout::BGR || layout == Layout::RGB) {
    constexpr int first = layout == Layout::BGR ? 2 : 0;
    const Point point = locate(source.plane, 3, x, y);
    Lanes::Int top, top_right, low, low_right;  // bytes 0..3 and 4..7: the right pixel starts at byte 3
    Lanes::load_64(source.plane.data, point.offset, &top, &top_right);
    Lanes::load_64(source.plane.data + source.plane.stride, point.offset, &low, &low_right);
    store(source, first, tap<0, 3>(top, top, low, low, point), out + first * plane_px);
    store(source, 1, tap<1, 0>(top, top_right, low, low_right, point), out + plane_px);
    store(source, 2 - first, tap<2, 1>(top, top_right, low, low_right, point), out + (2 - first) * plane_px);
    return;
  }
  const Point point = locate(source.plane, 1, x, y);
  const Lanes::Int top = Lanes::load_32(source.plane.data, point.offset);
  const Lanes::Int low = Lanes::load_32(source.plane.data + source.plane.stride, point.offset);
  const Lanes::Float luma = tap<0, 1>(top, top, low, low, point);
  if (layout == Layout::GRAY) {
    for (int c = 0; c < 3; ++c) store(source, c, luma, out + c * plane_px);
    return;
  }
  const Lanes::Float half = Lanes::set(0.5f), quarter = Lanes::set(0.25f);
  const Point at = locate(source.chroma, 2, Lanes::sub(Lanes::mul(x, half), quarter),
                          Lanes::sub(Lanes::mul(y, half), quarter));
  const Lanes::Int chroma_top = Lanes::load_32(source.chroma.data, at.offset);
  const Lanes::Int chroma_low = Lanes::load_32(source.chroma.data + source.chroma.stride, at.offset);
  const Lanes::Float middle = Lanes::set(128.0f), zero = Lanes::set(0.0f), full = Lanes::set(255.0f);
  const Lanes::Float u = Lanes::sub(tap<0, 2>(chroma_top, chroma_top, chroma_low, chroma_low, at), middle);
  const Lanes::Float v = Lanes::sub(tap<1, 3>(chroma_top, chroma_top, chroma_low, chroma_low, at), middle);
  const Lanes::Float grey = Lanes::mul(Lanes::set(1.1643836f), Lanes::sub(luma, Lanes::set(16.0f)));
  const Lanes::Float rgb[3] = {
      Lanes::fma(Lanes::set(1.5960268f), v, grey),
      Lanes::fma(Lanes::set(-0.8129676f), v, Lanes::fma(Lanes::set(-0.3917623f), u, grey)),
      Lanes::fma(Lanes::set(2.0172321f), u, grey),
  };
  for (int c = 0; c < 3; ++c) store(source, c, Lanes::min(Lanes::max(rgb[c], zero), full), out + c * plane_px);
}

// Crop pixels [begin, end) of row y; at least Lanes::count of them. The last step overlaps the one before.
template <Layout layout>
void crop_run(const RowSource& shared, int y, int begin, int end, int64_t plane_px, float* out) {
  const RowSource source = shared;  // a copy that no store to `out` can change, so it stays in registers
  const float* m = source.map.m;
  const Lanes::Float x_step = Lanes::set(m[0]), y_step = Lanes::set(m[3]);
  const Lanes::Float x_row = Lanes::set(m[1] * static_cast<float>(y)), x_start = Lanes::set(m[2]);
  const Lanes::Float y_row = Lanes::set(m[4] * static_cast<float>(y)), y_start = Lanes::set(m[5]);
  for (int x = begin; x < end; x += Lanes::count) {
    if (x > end - Lanes::count) x = end - Lanes::count;
    const Lanes::Float column = Lanes::add(Lanes::set(static_cast<float>(x)), Lanes::iota());
    const Lanes::Float frame_x = Lanes::add(Lanes::add(Lanes::mul(x_step, column), x_row), x_start);
    const Lanes::Float frame_y = Lanes::add(Lanes::add(Lanes::mul(y_step, column), y_row), y_start);
    crop_lanes<layout>(source, frame_x, frame_y, plane_px, out + x);
  }
}

}  // namespace
}  // namespace faceaffect
