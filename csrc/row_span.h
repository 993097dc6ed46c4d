// Finds the pixels of a crop row whose frame positions lie in a range. Positions are monotonic
// along a row, rounding included, so the pixels form one span.
#pragma once

#include "crop_face.h"

namespace faceaffect {
namespace {

struct Span {
  int begin, end;
};

struct Axis {
  const float* row;  // of the transform: [3]
  int y;
  float sign;  // positions times sign grow with x
  float at(int x) const { return sign * position_at(row, x, y); }
};

// The first x in [0, size] whose position is at least `bound` (above it, when `above`).
inline int first_reaching(const Axis& axis, float bound, bool above, int size) {
  const auto reached = [&](int x) { return above ? axis.at(x) > bound : axis.at(x) >= bound; };
  const float step = axis.sign * axis.row[0];
  int x = 0;
  if (step > 0.0f)
    x = static_cast<int>(clamp_to((bound - axis.at(0)) / step, 0.0f, static_cast<float>(size)));
  while (x > 0 && reached(x - 1)) --x;
  while (x < size && !reached(x)) ++x;
  return x;
}

inline Span span_on_axis(const float* row, int y, float low, float high, int size) {
  const Axis axis = {row, y, row[0] < 0.0f ? -1.0f : 1.0f};
  if (axis.sign < 0.0f)
    return {first_reaching(axis, -high, false, size), first_reaching(axis, -low, true, size)};
  return {first_reaching(axis, low, false, size), first_reaching(axis, high, true, size)};
}

// Crop pixels of row y whose positions lie in [low_xy, high_xy], ends included; end < begin becomes
// an empty span.
inline Span span_inside(const LevelTransform& transform, int y, const float* low_xy,
                        const float* high_xy, int size) {
  const Span across = span_on_axis(transform.m, y, low_xy[0], high_xy[0], size);
  const Span down = span_on_axis(transform.m + 3, y, low_xy[1], high_xy[1], size);
  const int begin = across.begin > down.begin ? across.begin : down.begin;
  const int end = across.end < down.end ? across.end : down.end;
  return {begin, end > begin ? end : begin};
}

// Bounding box of all positions of a crop: that of its corners.
inline void position_bounds(const LevelTransform& transform, int size, float* low_xy,
                            float* high_xy) {
  for (int i = 0; i < 2; ++i) {
    low_xy[i] = high_xy[i] = position_at(transform.m + 3 * i, 0, 0);
    for (int corner = 1; corner < 4; ++corner) {
      const float at =
          position_at(transform.m + 3 * i, corner % 2 ? size - 1 : 0, corner / 2 ? size - 1 : 0);
      low_xy[i] = at < low_xy[i] ? at : low_xy[i];
      high_xy[i] = at > high_xy[i] ? at : high_xy[i];
    }
  }
}

}  // namespace
}  // namespace faceaffect
