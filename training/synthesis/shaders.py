"""GLSL sources of the renderer; one program is specialized per kind of surface.

The kind is a constant, not a uniform, so that only the hair program has a `discard`: without one
the driver can reject hidden fragments before shading (early depth test). On a CPU that is most of
the render time.
"""

DEPTH_VERTEX = """
#version 330
uniform mat4 head_to_light;
in vec3 position;
void main() { gl_Position = head_to_light * vec4(position, 1.0); }
"""

DEPTH_FRAGMENT = """
#version 330
void main() {}
"""

VERTEX = """
#version 330
uniform mat4 head_to_clip;
uniform mat3 head_to_camera;
in vec3 position;      // decimeters, head
in vec3 normal;
in vec2 shade;         // x: concavity, y: 0 in the mouth or an eye socket
in vec2 uv;
in vec3 base;          // decimeters, base mesh: coordinates of the wrinkle maps
out vec3 camera_normal;
out vec3 camera_position;
out vec2 tex;
out vec3 base_position;
out vec2 shading;
void main() {
    gl_Position = head_to_clip * vec4(position, 1.0);
    camera_normal = head_to_camera * normal;
    camera_position = head_to_camera * position;
    tex = uv;
    base_position = base;
    shading = shade;
}
"""

FRAGMENT = """
#version 330
const int kind = {kind};          // 0 skin, 1 eye, 2 mouth parts, 3 hair, brows, lashes
{region};                         // 0: draw the image; else write this region index
uniform sampler2D albedo_map;
uniform sampler2D wrinkle_map_a;  // four depth maps each, 1 at the center of a fold
uniform sampler2D wrinkle_map_b;
uniform sampler2D wrinkle_map_c;
uniform sampler2D stubble_map;    // r: beard area, g: lips
uniform vec4 wrinkle_left[3];
uniform vec4 wrinkle_right[3];
uniform vec4 wrinkle_box;         // x0, y0, 1 / width, 1 / height in base mesh decimeters
uniform vec3 tint;
uniform vec2 alpha_range;         // hair is drawn twice: opaque with depth, then translucent
uniform vec3 view_offset;         // camera position minus head origin, camera axes
uniform vec3 light_dir[2];
uniform vec3 light_rgb[2];
uniform vec3 sky_rgb;
uniform vec3 ground_rgb;
uniform vec4 skin;                // specular, gloss, wrap, fold darkness
uniform vec4 stubble;             // rgb, strength
uniform vec3 shirt_rgb;
uniform float lip_red;
uniform sampler2DShadow shadow_map[2];  // of the key light and of the sky
uniform mat4 camera_to_light[2];        // camera axes to texture space
uniform vec2 shadow_strength;              // fraction of each light that a shadow blocks
uniform vec2 shadow_softness;             // blur radius of the shadow, fraction of the map
uniform float fold_blur;                // mipmap bias of the wrinkle maps
uniform float mouth_front;        // z of the lips in base mesh decimeters
in vec3 camera_normal;
in vec3 camera_position;
in vec2 tex;
in vec3 base_position;
in vec2 shading;
out vec4 color;

float wrinkle_depth(vec2 xy) {
    vec2 at = (xy - wrinkle_box.xy) * wrinkle_box.zw;
    float left = smoothstep(-0.06, 0.06, base_position.x);
    vec4 a = texture(wrinkle_map_a, at, fold_blur);
    vec4 b = texture(wrinkle_map_b, at, fold_blur);
    vec4 c = texture(wrinkle_map_c, at, fold_blur);
    return dot(a, mix(wrinkle_right[0], wrinkle_left[0], left))
         + dot(b, mix(wrinkle_right[1], wrinkle_left[1], left))
         + dot(c, mix(wrinkle_right[2], wrinkle_left[2], left));
}

float lit(int which, vec3 n) {
    vec3 at = (camera_to_light[which] * vec4(camera_position + 0.03 * n, 1.0)).xyz;
    float r = shadow_softness[which];
    float sum = 0.0;
    for (int k = 0; k < 4; k++) {
        vec2 tap = vec2(k < 2 ? -r : r, (k & 1) == 0 ? -0.6 * r : 0.6 * r)
                 * (k == 1 || k == 2 ? 1.0 : 0.55);
        vec3 texel = vec3(at.xy + tap, at.z - 0.012);
        sum += which == 0 ? texture(shadow_map[0], texel) : texture(shadow_map[1], texel);
    }
    return 1.0 - shadow_strength[which] * (1.0 - 0.25 * sum);
}

void main() {
    vec4 texel = texture(albedo_map, tex);
    if (kind == 3 && (texel.a < alpha_range.x || texel.a >= alpha_range.y)) discard;
    if (region > 0) {
        int here = region;
        if (kind == 0 && shading.y < 0.5) here = base_position.y < 6.9 ? 3 : 2;
        else if (kind == 0 && (base_position.y < 6.12 + 0.5 * abs(base_position.x)
                               || base_position.z < 0.55)) here = 5;
        color = vec4(float(here) / 255.0);
        return;
    }
    vec3 albedo = pow(texel.rgb, vec3(2.2)) * tint;
    vec3 n = normalize(camera_normal);
    vec3 to_camera = normalize(view_offset - camera_position);
    if (kind == 3 && dot(n, to_camera) < 0.0) n = -n;
    float occlusion = 1.0, cloth = 0.0;
    float specular = skin.x, gloss = skin.y, wrap = skin.z;
    if (kind == 0) {
        float open_air = shading.y;
        float depth = wrinkle_depth(base_position.xy) * open_air;
        vec3 dx = dFdx(camera_position), dy = dFdy(camera_position);
        float hx = dFdx(depth), hy = dFdy(depth);
        vec3 r1 = cross(dy, n), r2 = cross(n, dx);
        float det = dot(dx, r1);
        vec3 slope = (r1 * hx + r2 * hy) * sign(det) / max(abs(det), 1e-7);
        n = normalize(n + 0.026 * slope);
        vec2 at = (base_position.xy - wrinkle_box.xy) * wrinkle_box.zw;
        vec2 area = texture(stubble_map, at).rg * open_air;
        albedo = mix(albedo, stubble.rgb, stubble.a * area.r);
        vec3 lips = vec3(1.0 + 0.5 * lip_red, 1.0 - 0.35 * lip_red, 1.0 - 0.3 * lip_red);
        albedo *= mix(vec3(1.0), lips, area.g);
        specular *= 1.0 + 1.2 * area.g;
        occlusion = exp(-skin.w * max(shading.x, 0.0)) * (1.0 - 0.42 * clamp(depth, 0.0, 1.3));
        cloth = smoothstep(0.0, 0.012, 5.93 + 0.35 * abs(base_position.x) - base_position.y)
              * open_air;
        float inside = clamp((mouth_front - base_position.z) * 2.2, 0.0, 1.0);
        occlusion *= mix(mix(0.35, 0.03, inside), 1.0, open_air);
        albedo = mix(albedo, albedo * vec3(1.0, 0.72, 0.66), (1.0 - occlusion) * 0.8 * open_air);
    } else if (kind == 1) {
        specular = 0.6; gloss = 90.0; wrap = 0.35;
        occlusion = shading.x;
    } else if (kind == 2) {
        specular = 0.12; gloss = 40.0; wrap = 0.3;
        occlusion = shading.x;
    } else {
        specular = 0.10; gloss = 18.0; wrap = 0.4;
    }
    float key_lit = 1.0, sky_lit = 1.0;
    if (kind < 2) {
        key_lit = lit(0, n);
        sky_lit = lit(1, n);
    }
    vec3 light = mix(ground_rgb, sky_rgb * sky_lit, 0.5 + 0.5 * n.y) * occlusion;
    vec3 shine = vec3(0.0);
    vec3 wrap_rgb = wrap * (kind == 0 ? vec3(1.5, 0.9, 0.7) : vec3(1.0));
    for (int i = 0; i < 2; i++) {
        float facing = dot(n, light_dir[i]);
        vec3 diffuse = max((vec3(facing) + wrap_rgb) / (1.0 + wrap_rgb), vec3(0.0));
        float reach = i == 0 ? key_lit : 1.0;
        light += reach * light_rgb[i] * diffuse * diffuse * mix(1.0, occlusion, 0.7);
        vec3 h = normalize(light_dir[i] + to_camera);
        float fresnel = 0.35 + 0.65 * pow(1.0 - max(dot(n, to_camera), 0.0), 4.0);
        shine += reach * light_rgb[i] * pow(max(dot(n, h), 0.0), gloss) * step(0.0, facing)
               * fresnel;
    }
    vec3 rgb = albedo * light + specular * shine * occlusion;
    rgb = rgb / (1.0 + 0.18 * rgb);
    // The shirt has the flat lighting of the torso composited behind it, which hides the boundary.
    rgb = mix(rgb, shirt_rgb * (0.5 * (sky_rgb + ground_rgb) + 0.3 * light_rgb[0]), cloth);
    color = vec4(pow(clamp(rgb, 0.0, 1.0), vec3(1.0 / 2.2)), kind == 3 ? texel.a : 1.0);
}
"""


def fragment_source(kind: int, *, draws_regions: bool) -> str:
    """Returns the fragment shader of a kind of surface, for the image or the region map."""
    region = "uniform int region" if draws_regions else "const int region = 0"
    return FRAGMENT.replace("{kind}", str(kind)).replace("{region}", region)
