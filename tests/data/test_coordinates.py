"""Tables of coordinates: states of the manifold, and back to the digits that were written."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

import pushforward as pf
from pushforward.data import Data, Schema
from pushforward.data.column import Column
from pushforward.data.coordinate_columns import as_table
from pushforward.data.located import Located
from pushforward.errors import InputError
from pushforward.spaces import SO3, SPD, Euclidean, Hyperbolic, Product, Sphere, Torus
from pushforward.spaces.coordinates import parse


def _file(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def _back(data: Data, space: Any, folder: Path, name: str = "back.csv") -> Path:
    pf.data.write(folder / name, data.x, space=space, schema=data.schema)
    return folder / name


PLACES = "Longitude,Latitude\n139.69,35.68\n-70.67,-33.45\n180.0,0.0\n0.0,90.0\n-122.42,37.77\n"


def test_places_become_unit_vectors_and_the_same_text_again(tmp_path: Path) -> None:
    data = pf.data.load(_file(tmp_path, PLACES), space=Sphere())
    lon, lat = np.deg2rad([139.69, 35.68])
    exact = [math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)]
    torch.testing.assert_close(data.x[0], torch.tensor(exact, dtype=torch.float32))
    assert str(data) == "table: 5 points on the 2-sphere from Latitude, Longitude in degrees"
    assert _back(data, Sphere(), tmp_path).read_text() == PLACES
    assert Schema.from_description(data.schema.describe()) == data.schema


CASES = {
    "azimuths": ("az,el\n350.5,10.2\n0.1,-89.0\n", Sphere(), None),
    "longitudes to 360": ("lat,lon\n10.25,359.75\n-10.5,0.25\n", Sphere(), None),
    "whole degrees": ("lat,lon\n10,-170\n-10,25\n", Sphere(), None),
    "other names": ("a,b\n10.1,-170.2\n-10.3,25.4\n", Sphere(), "latitude-longitude"),
    "radians": ("lat,lon\n1.01,-3.1\n-1.2,0.25\n", Sphere(), "latitude-longitude radians"),
    "unit vectors": ("x,y,z\n0.6,0.0,0.8\n0.0,-1.0,0.0\n", Sphere(), None),
    "dihedral angles": ("phi,psi\n-63.2,-41.7\n-180.0,179.9\n", Torus(), "degrees"),
    "angles to 360": ("phi\n350.5\n1.5\n", Torus(), "degrees"),
    "a place and more": (
        "mag,lat,depth,lon\n5.5,10.1,33.0,-20.2\n6.1,-10.3,10.0,25.4\n",
        Product(Sphere(), Euclidean()),
        None,
    ),
    "the ball": ("a,b,c\n0.1,-0.2,0.85\n0.5,0.25,-0.3\n", Hyperbolic(), "poincare-ball"),
    "the half-plane": ("mean,std\n12.5,0.01\n-3.25,40.5\n0.0,1.0\n", Hyperbolic(2), "half-space"),
    "matrices": (
        "xx,xy,xz,yy,yz,zz\n2.5,0.5,-0.25,1.5,0.1,0.75\n1.0,0.0,0.0,1.0,0.0,1.0\n",
        SPD(),
        "upper-triangle",
    ),
    "quaternions": ("qw,qx,qy,qz\n1.0,0.0,0.0,0.0\n0.5,-0.5,0.5,0.5\n", SO3(), None),
    "Euler angles": ("a,b,c\n10.5,20.25,-30.0\n-170.5,80.5,0.5\n", SO3(), "euler-zyx degrees"),
    "poses": (
        "x,y,z,qx,qy,qz,qw\n1.5,2.5,3.5,0.0,0.0,0.6,0.8\n0.5,-1.5,2.0,0.5,0.5,0.5,0.5\n",
        Product(SO3(), Euclidean(3)),
        None,
    ),
    "a place and an angle": (
        "lat,lon,strike\n10.1,-20.2,33.5\n-10.3,25.4,-120.5\n",
        Product(Sphere(), Torus(1)),
        "latitude-longitude, degrees",
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
def test_round_trips_are_exact_to_the_written_digits(
    tmp_path: Path, case: str, suffix: str
) -> None:
    text, space, coordinates = CASES[case]
    data = pf.data.load(_file(tmp_path, text), space=space, coordinates=coordinates)
    there = _back(data, space, tmp_path, f"back{suffix}")
    if suffix == ".csv":
        assert there.read_text() == text
    again = pf.data.load(there, space=space, like=data)
    assert again.fingerprint == data.fingerprint
    assert again.schema.coordinates == data.schema.coordinates
    table = np.loadtxt(text.splitlines()[1:], delimiter=",", ndmin=2)
    np.testing.assert_allclose(as_table(data).x.numpy(), table, atol=1e-12)
    assert Schema.from_description(data.schema.describe()) == data.schema


def test_columns_of_other_data_are_found_by_name(tmp_path: Path) -> None:
    data = pf.data.load(_file(tmp_path, PLACES), space=Sphere())
    other = _file(tmp_path, "depth,Latitude,Longitude\n3,35.68,139.69\n", "other.csv")
    found = pf.data.load(other, space=Sphere(), like=data.schema)
    torch.testing.assert_close(found.x[0], data.x[0])
    assert "left out 'depth'" in found.notes[0]


def test_states_are_as_precise_as_single_precision_can_be() -> None:
    draw = np.random.default_rng(0)
    table = np.stack([draw.uniform(-80, 80, 200), draw.uniform(-180, 180, 200)], 1)
    data = pf.data.load(table, space=Sphere(), coordinates="latitude-longitude")
    assert float((as_table(data).x - torch.from_numpy(table)).abs().max()) < 3e-5


def test_labels_and_given_columns_stay_beside_places(tmp_path: Path) -> None:
    text = "lat,lon,mag,kind\n10.5,20.5,5.5,a\n-10.5,30.5,6.5,b\n11.5,21.5,5.5,a\n"
    path = _file(tmp_path, text)
    data = pf.data.load(path, space=Sphere(), columns=["lat", "lon"], label="kind")
    assert data.classes == ("a", "b")
    assert data.x.shape == (3, 3)
    told = pf.data.load(path, space=Sphere(), columns=["lat", "lon", "mag"], given="mag")
    assert told.c.tolist() == [[5.5], [6.5], [5.5]]
    assert told.x.equal(data.x)
    assert told.c.dtype == told.x.dtype == torch.float32
    whole = pf.data.joint(told)
    assert whole.columns == ("lat", "lon", "mag")
    np.testing.assert_allclose(whole.x[1].numpy(), [-10.5, 30.5, 6.5], atol=1e-5)
    again = pf.data.load(told, space=Sphere(), like=told)
    assert again.x.equal(told.x)


def test_distances_in_the_ball_and_the_half_space_are_those_of_their_models() -> None:
    noise = torch.Generator().manual_seed(0)
    for dim in (2, 3):
        a, b = (torch.rand(50, dim, generator=noise).double() for _ in range(2))
        square = (a - b).square().sum(1)
        far = Hyperbolic(dim).distance(*(parse("half-space").states(one + 0.01) for one in (a, b)))
        exact = torch.acosh(1 + square / (2 * (a[:, -1] + 0.01) * (b[:, -1] + 0.01)))
        torch.testing.assert_close(far, exact, rtol=1e-9, atol=1e-9)
        a, b = 0.99 * a / dim**0.5, -0.9 * b / dim**0.5
        square = (a - b).square().sum(1)
        edge = (1 - a.square().sum(1)) * (1 - b.square().sum(1))
        far = Hyperbolic(dim).distance(*map(parse("poincare-ball").states, (a, b)))
        torch.testing.assert_close(far, torch.acosh(1 + 2 * square / edge), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["poincare-ball", "half-space"])
def test_points_far_out_in_hyperbolic_space_come_back(kind: str) -> None:
    far = 6 * torch.randn(100, 3, generator=torch.Generator().manual_seed(1)).double().sinh()
    x, coordinates = Hyperbolic().nearest(far), parse(kind)
    again = coordinates.states(coordinates.numbers(x))
    torch.testing.assert_close(again, x, rtol=1e-9, atol=1e-9)


REFUSED = {
    "beyond the ball": (
        "a,b\n0.6,0.8\n",
        Hyperbolic(),
        {"coordinates": "poincare-ball"},
        r"line 2 has \(a, b\) of length 1: .* shorter than 1",
    ),
    "below the plane": (
        "a,b\n1,2\n3,0\n",
        Hyperbolic(2),
        {"coordinates": "half-space"},
        r"line 3, column 'b' holds 0: heights",
    ),
    "another dimension": (
        "a,b\n1,2\n3,1\n",
        Hyperbolic(3),
        {"coordinates": "half-space"},
        "a point is a vector of 4, not of 3",
    ),
    "an indefinite matrix": (
        "a,b,c\n1,0,1\n1,2,1\n",
        SPD(),
        {"coordinates": "upper-triangle"},
        r"line 3 is a matrix with the eigenvalue -1, .* 1 of 2 rows",
    ),
    "no triangle": ("a,b\n1,2\n", SPD(), {"coordinates": "upper-triangle"}, "no upper triangle"),
    "a triangle that is not said to be one": ("a,b,c\n1,0,1\n", SPD(), {}, "upper-triangle"),
    "latitude": (
        "lat,lon\n10,20\n95,30\n",
        Sphere(),
        {},
        r"line 3, column 'lat' holds 95: latitudes lie in -90\.\.90",
    ),
    "swapped": ("lat,lon\n139,20\n95,30\n", Sphere(), {}, "the other way round"),
    "longitude": (
        "lat,lon\n10,400\n",
        Sphere(),
        {},
        r"holds 400: longitudes lie in -180\.\.180 or 0\.\.360",
    ),
    "length": (
        "x,y,z\n1.3,0,0\n0,1,0\n",
        Sphere(),
        {},
        r"\(1\.3, 0, 0\), 0\.3 from the unit sphere.*project=True",
    ),
    "no direction": (
        "x,y,z\n0,0,0\n0,1,0\n",
        Sphere(),
        {"project": True},
        "no point of the unit sphere is nearest",
    ),
    "beside": (
        "lat,lon,mag\n10,20,5\n",
        Sphere(),
        {},
        r"'mag' are left beside lat, lon.*given='mag'",
    ),
    "names": ("a,b\n10,20\n", Sphere(), {}, "say which: coordinates='latitude-longitude'"),
    "turns": ("phi\n400\n", Torus(), {"coordinates": "degrees"}, "full turn of 360 degrees"),
    "unknown": ("phi\n40\n", Torus(), {"coordinates": "gradians"}, "'gradians' are no coordinates"),
    "of another space": (
        "a,b\n1,2\n",
        Torus(),
        {"coordinates": "latitude-longitude"},
        "may be 'radians' or 'degrees'",
    ),
    "no space": (
        "lat,lon\n1,2\n",
        None,
        {"coordinates": "latitude-longitude"},
        "of states of a space",
    ),
    "too few": (
        "a\n1\n",
        Sphere(),
        {"coordinates": "latitude-longitude"},
        "more columns than the 1",
    ),
    "twice": ("lat,latitude,lon\n1,2,3\n", Sphere(), {}, "both say latitude"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_coordinate_is_refused_with_the_way_out(tmp_path: Path, case: str) -> None:
    text, space, options, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        pf.data.load(_file(tmp_path, text), space=space, **options)


def test_what_could_be_radians_has_to_say_its_unit() -> None:
    draw = np.random.default_rng(0)
    table = {"lat": draw.uniform(-1.5, 1.5, 50), "lon": draw.uniform(-3, 3, 50)}
    with pytest.raises(InputError, match="as radians do: say which"):
        pf.data.load(table, space=Sphere())
    near = pf.data.load(table, space=Sphere(), coordinates="latitude-longitude degrees")
    assert float(near.x[:, 0].min()) > 0.99
    wide = pf.data.load(table, space=Sphere(), coordinates="latitude-longitude radians")
    torch.testing.assert_close(wide.x[:, 2], torch.tensor(np.sin(table["lat"])).float())


def test_what_is_off_the_sphere_is_projected_on_request(tmp_path: Path) -> None:
    path = _file(tmp_path, "x,y,z\n2.6,0,0\n0,0.3,0.4\n")
    data = pf.data.load(path, space=Sphere(), project=True)
    torch.testing.assert_close(data.x, torch.tensor([[1.0, 0, 0], [0, 0.6, 0.8]]))
    # The run remembers it for other data.
    assert pf.data.load(path, space=Sphere(), like=data.schema).x.equal(data.x)


# -- rotations -----------------------------------------------------------------------------------


def _rotations(n: int = 60) -> tuple[torch.Tensor, Rotation]:
    exact = Rotation.random(n, random_state=np.random.default_rng(3))
    return torch.from_numpy(exact.as_matrix()), exact


@pytest.mark.parametrize(
    ("spec", "numbers"),
    [
        ("quaternion-wxyz", lambda r: r.as_quat(canonical=True, scalar_first=True)),
        ("quaternion-xyzw", lambda r: r.as_quat(canonical=True)),
        ("rotation-vector radians", lambda r: r.as_rotvec()),
        ("rotation-vector degrees", lambda r: r.as_rotvec(degrees=True)),
        ("euler-ZYX degrees", lambda r: r.as_euler("ZYX", degrees=True)),
        ("euler-zyx radians", lambda r: r.as_euler("zyx")),
        ("euler-XZX degrees", lambda r: r.as_euler("XZX", degrees=True)),
        ("matrix", lambda r: r.as_matrix().reshape(-1, 9)),
    ],
)
def test_rotations_are_those_of_scipy(spec: str, numbers: Any) -> None:
    matrix, exact = _rotations()
    kind = parse(spec)
    assert kind.spec == spec
    table = torch.from_numpy(numbers(exact))
    columns = [Column(f"c{k}") for k in range(table.shape[1])]
    located = Located.among(kind, columns)
    states = located.states(table, str)
    torch.testing.assert_close(states, matrix, rtol=0, atol=1e-12)
    torch.testing.assert_close(located.table(matrix), table, rtol=0, atol=1e-10)


def test_poses_are_rotations_and_positions() -> None:
    matrix, exact = _rotations()
    place = torch.from_numpy(np.random.default_rng(4).normal(size=(len(matrix), 3)))
    poses = torch.eye(4, dtype=torch.float64).repeat(len(matrix), 1, 1)
    poses[:, :3, :3], poses[:, :3, 3] = matrix, place
    kind = parse("pose-matrix")
    r, p = kind.states(poses.flatten(1))
    torch.testing.assert_close(r, matrix)
    torch.testing.assert_close(p, place)
    torch.testing.assert_close(kind.numbers((r, p)), poses.flatten(1))
    # Beside each other in a table, quaternions are found by name and the rest are positions.
    columns = [Column(name) for name in ("x", "y", "z", "qx", "qy", "qz", "qw")]
    located = Located.among(parse("quaternion-wxyz, numbers"), columns)
    table = torch.cat([place, torch.from_numpy(exact.as_quat(canonical=True))], 1)
    r, p = located.states(table, str)
    torch.testing.assert_close(r, matrix, rtol=0, atol=1e-12)
    assert p.equal(place)
    torch.testing.assert_close(located.table((r, p)), table, rtol=0, atol=1e-12)
    assert located.words == "qw, qx, qy, qz (quaternions wxyz), x, y, z"


@pytest.mark.parametrize(
    ("spec", "row", "message"),
    [
        ("quaternion-wxyz", [1.3, 0, 0, 0], "0.3 from the unit quaternions.*divide by the norm"),
        ("matrix", [1, 0, 0, 0, 1, 0, 0, 0, -1.0], "2 from the rotation matrices"),
        ("matrix", [1.1, 0, 0, 0, 1, 0, 0, 0, 1], "0.1 from the rotation matrices"),
        ("rotation-vector", [0, 90.0, 0], "as long as their angle, within 6.283 radians"),
        ("euler-ZYX radians", [90.0, 0, 0], "full turn of 6.283 radians, or are these degrees"),
        ("pose-matrix", [1, 0, 0, 5, 0, 1, 0, 5, 0, 0, 1, 5, 0, 0, 0, 2.0], "1 from the poses"),
    ],
)
def test_what_is_no_rotation_is_refused_with_its_distance(
    spec: str, row: list[float], message: str
) -> None:
    columns = [Column(str(k)) for k in range(len(row))]
    table = torch.tensor([row], dtype=torch.float64)
    with pytest.raises(InputError, match=message):
        Located.among(parse(spec), columns).states(table, lambda i: f"row {i}")


def test_texts_say_all_there_is_to_say() -> None:
    with pytest.raises(InputError, match="do not say their unit"):
        parse("euler-ZYX")
    with pytest.raises(InputError, match="say the order of a quaternion"):
        parse("quaternion")
    with pytest.raises(InputError, match="twice in a row"):
        parse("euler-ZZX degrees")
    for spec in ("degrees 2, numbers 3", "azimuth-altitude radians", "unit-vector"):
        assert parse(spec).spec == spec
    assert Sphere().coordinates_named(["latitude", "b"]) is None
    assert Torus().coordinates_named(["phi", "psi"]) is None
