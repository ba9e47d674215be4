"""Exact motion of the free harmonic crystal: every Bloch amplitude turns by its own 6 × 6 propagator, which is known in closed form.

û(t + τ) = C û + S v̂,    v̂(t + τ) = -D S û + C v̂,    C = cos(√D τ),  S = D^{-1/2} sin(√D τ)
"""

from numba import prange

from mdlite.kernels.jit import parallel


@parallel
def propagate(u, v, cosine, sine, force):
    """Turn the amplitudes u (Å) and v (Å/ps), complex (3, Qx, Qy, Qz), by C, S (ps) and -D S (1/ps), each real (Qx, Qy, Qz, 3, 3).

    Contract: u and v are updated in place.
    """
    for i in prange(u.shape[1]):
        for j in range(u.shape[2]):
            for k in range(u.shape[3]):
                c, s, f = cosine[i, j, k], sine[i, j, k], force[i, j, k]
                u0, u1, u2 = u[0, i, j, k], u[1, i, j, k], u[2, i, j, k]
                v0, v1, v2 = v[0, i, j, k], v[1, i, j, k], v[2, i, j, k]
                for a in range(3):
                    u[a, i, j, k] = c[a, 0] * u0 + c[a, 1] * u1 + c[a, 2] * u2 + s[a, 0] * v0 + s[a, 1] * v1 + s[a, 2] * v2
                    v[a, i, j, k] = f[a, 0] * u0 + f[a, 1] * u1 + f[a, 2] * u2 + c[a, 0] * v0 + c[a, 1] * v1 + c[a, 2] * v2
