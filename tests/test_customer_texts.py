"""Phones, addresses, pasted lines and identity numbers as people write them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.customers import phones, regions
from core.customers.identity import mask_address, mask_phone, read_company_code, read_resident_id
from core.customers.paste import read_pasted
from core.kernel.errors import InvalidData


@pytest.mark.parametrize(
    ("text", "digits", "kind"),
    [
        ("13812345678", "13812345678", phones.MOBILE),
        ("１３０７７７１１８８８", "13077711888", phones.MOBILE),
        ("+86 13068690223", "13068690223", phones.MOBILE),
        ("131-1235-5344", "13112355344", phones.MOBILE),
        ("021-52487747", "02152487747", phones.LANDLINE),
        ("（0571）8765 4321", "057187654321", phones.LANDLINE),
        ("400-800-1234", "4008001234", phones.SERVICE),
        ("+852 2345 6789", "85223456789", phones.FOREIGN),
    ],
)
def test_a_number_is_read_as_people_write_it(text: str, digits: str, kind: str) -> None:
    phone = phones.read_phone(text)
    assert (phone.digits, phone.kind) == (digits, kind)


@pytest.mark.parametrize("text", ["无", "12345", "1380013800a", "12800001111", "138001380000", "95588"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidData) as caught:
        phones.read_phone(text)
    assert "phone" in caught.value.errors


@pytest.mark.parametrize("text", ["0755-12345678 转 802", "010-12345678-1", "400-800-1234转5", "0898-66123456#12"])
def test_what_is_shown_with_an_extension_is_read_again(text: str) -> None:
    phone = phones.read_phone(text)
    again = phones.read_phone(phone.display)
    assert phone.extension and (again.digits, again.extension) == (phone.digits, phone.extension)


def test_staff_may_say_that_a_service_number_is_right() -> None:
    assert phones.read_phone("95588", service=True).digits == "95588"


def test_extension_is_kept_for_reading_but_not_for_looking_up() -> None:
    phone = phones.read_phone("0755-12345678 转 802")
    assert (phone.digits, phone.extension) == ("075512345678", "802")
    assert phone.display.endswith("-802")


@pytest.mark.parametrize("between", ["/", "、", "，", ",", "；", ";", "\n", " "])
def test_several_numbers_in_one_cell(between: str) -> None:
    reading = phones.read_phones(f"13812345678{between}021-52487747")
    assert [p.digits for p in reading.phones] == ["13812345678", "02152487747"]
    assert not reading.errors


def test_the_good_part_of_a_cell_is_kept_beside_the_bad() -> None:
    reading = phones.read_phones("13812345678/12345")
    assert [p.digits for p in reading.phones] == ["13812345678"]
    assert [text for text, _reason in reading.errors] == ["12345"]


@given(st.text(max_size=60))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    for phone in phones.read_phones(text, service=True).phones:
        assert phone.digits.isascii() and phone.digits.isdigit()
        assert len(phone.digits) <= 20
    read_pasted(text)
    regions.split_address(text)


@given(st.from_regex(r"1[3589][0-9]{9}", fullmatch=True), st.sampled_from(["", "+86", "+86 ", "0086", "86 "]))
def test_caller_digits_find_the_same_number_however_dialled(number: str, prefix: str) -> None:
    assert phones.digits_of(prefix + number) == number
    assert phones.digits_of("0" + number) == number


@given(st.text(alphabet="0123456789-/、 转+", max_size=40))
def test_reading_again_what_is_shown_gives_the_same_number(text: str) -> None:
    for phone in phones.read_phones(text).phones:
        again = phones.read_phone(phone.display)
        assert (again.digits, again.extension) == (phone.digits, phone.extension)


@pytest.mark.parametrize(
    ("text", "code", "detail"),
    [
        ("浙江省杭州市西湖区文三路1号", "330106", "文三路1号"),
        ("浙江杭州西湖区文三路1号", "330106", "文三路1号"),
        ("北京市朝阳区建国路88号", "110105", "建国路88号"),
        ("海南省万宁市人民路", "469006", "人民路"),
        ("义乌市稠州路1号", "330782", "稠州路1号"),
        ("广东省东莞市长安镇", "441900", "长安镇"),
        ("内蒙古呼和浩特市新城区", "150102", ""),
        ("南京路12号", "", "南京路12号"),
    ],
)
def test_an_address_is_split(text: str, code: str, detail: str) -> None:
    region = regions.split_address(text)
    assert (region.code, region.detail, region.warnings) == (code, detail, ())


def test_a_county_names_its_city_and_province() -> None:
    region = regions.split_address("义乌市稠州路1号")
    assert (region.province, region.city, region.county) == ("浙江省", "金华市", "义乌市")


def test_a_province_that_contradicts_its_city_is_a_warning() -> None:
    region = regions.split_address("江西省西安市龙潭辛集街D座")
    assert region.warnings == (regions.CITY_ELSEWHERE,)
    assert (region.province, region.city, region.detail) == ("江西省", "西安市", "龙潭辛集街D座")


def test_an_unknown_city_is_a_warning_and_stays_in_the_detail() -> None:
    region = regions.split_address("河北省琴市永川杭州街M座")
    assert (region.code, region.detail, region.warnings) == ("130000", "琴市永川杭州街M座", (regions.CITY_UNKNOWN,))


def test_distance_between_two_districts() -> None:
    start, end = regions.coordinates("110105"), regions.coordinates("440305")
    assert start and end
    assert abs(regions.distance_km(start, end) - Decimal(1948)) < 1


def test_a_region_without_coordinates_answers_with_its_parents() -> None:
    assert regions.coordinates("710112") == regions.coordinates("710000") is not None
    assert regions.coordinates("000000") is None


ADDRESS = "浙江省杭州市西湖区文三路1号"


@pytest.mark.parametrize(
    "text",
    [
        f"张三 13812345678 {ADDRESS}",
        f"{ADDRESS} 张三 13812345678",
        f"13812345678，张三，{ADDRESS}",
        f"张三13812345678{ADDRESS}",
        f"张三{ADDRESS}13812345678",
        f"姓名：张三\n电话：138 1234 5678\n地址：{ADDRESS}",
        "收货人: 张三 手机号码: 13812345678 所在地区: 浙江省杭州市西湖区 详细地址: 文三路1号",
        f"张三(收)\n+86 13812345678\n{ADDRESS}",
    ],
)
def test_a_pasted_line_is_split_in_any_order(text: str) -> None:
    pasted = read_pasted(text)
    assert (pasted.name, pasted.phones, pasted.address) == ("张三", ("138 1234 5678",), ADDRESS)
    assert pasted.region.code == "330106"


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        (f"张三 13812345678 {ADDRESS}，热水器不点火", "热水器不点火"),
        ("断路器合不上闸 张三 13812345678 浙江省杭州市西湖区 文三路1号", "断路器合不上闸"),
        (f"张三，13812345678，{ADDRESS}，壁挂炉报E1故障，3号柜跳闸", "壁挂炉报E1故障，3号柜跳闸"),
        (f"姓名：张三\n电话：13812345678\n地址：{ADDRESS}\n问题：3号柜跳闸", "3号柜跳闸"),
        (f"张三 13812345678 {ADDRESS}", ""),
    ],
)
def test_what_is_wrong_is_kept_apart_from_the_address(text: str, rest: str) -> None:
    pasted = read_pasted(text)
    assert (pasted.name, pasted.address, pasted.rest) == ("张三", ADDRESS, rest)


def test_a_pasted_company_with_extension() -> None:
    pasted = read_pasted("杭州盟新科技有限公司 021-52487747转802 上海市浦东新区张江路88号")
    assert pasted.name == "杭州盟新科技有限公司"
    assert pasted.phones == ("021 5248 7747-802",)
    assert pasted.region.county == "浦东新区"


@pytest.mark.parametrize("number", ["11010519491231002X", "810000199408230021", "13063219900101003X"])
def test_valid_identity_numbers(number: str) -> None:
    """Permits of Hong Kong residents (81) and 安新 (130632), which other checkers refuse, are right."""
    total = sum(
        int(d) * w for d, w in zip(number[:17], (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), strict=True)
    )
    right = number[:17] + "10X98765432"[total % 11]
    assert read_resident_id(right.lower()) == right


@pytest.mark.parametrize(
    "number", ["110105194912310021", "11010519491331002X", "99010519491231002X", "123", "张三"]
)
def test_wrong_identity_numbers(number: str) -> None:
    with pytest.raises(InvalidData):
        read_resident_id(number)


def test_company_codes() -> None:
    assert read_company_code("91110000600037341l") == "91110000600037341L"
    with pytest.raises(InvalidData):
        read_company_code("91110000600037341M")


def test_masks() -> None:
    assert mask_phone("138 1234 5678") == "138****5678"
    assert mask_address(ADDRESS) == "浙江省杭州市****"
