"""Every answer carries what the published V1 specification requires, with the right type.

The table is that specification's response classes, names and types only (step-api-spec, complete/steppay_v1.json of
2023-09-22). A star marks a required field. In Korean won, so amounts that it calls int64 are whole.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import pytest
from paygate_steppay.emulator import ManagedEmulator, Switches

from paygate.testing.emulator import Call

TABLE = """\
AccountApiresponse = success:bool message:str
BundleProductDTO = code:str type:str status:str name:str description:str options:[ProductOptionGroupDTO]
  prices:[ProductPricedto] createdAt:time modifiedAt:time
BundleProductV1DTO = code:str type:str status:str name:str description:str options:[ProductOptionGroupV1DTO]
  prices:[PriceV1DTO] createdAt:time modifiedAt:time
CSItemDTO = *actor:str *category:str *status:str reason:str *createdAt:time
Claim = *methodType:str *whenToClaimType:str *billingDate:int provideStartDay:int
ClaimV1DTO = *methodType:str *whenToClaimType:str *billingDate:int provideStartDay:int
CountrySettingDTO = *id:int *countryCode:str *timezoneName:str *currencyCode:str *isDefault:bool *taxRate:num
CountrySettingV1DTO = *id:int *countryCode:str *timezoneName:str *currencyCode:str *isDefault:bool *taxRate:num
CustomerListDTO = *id:int *code:str status:str username:str name:str email:str phone:str *orderCount:int
  *activeSubscriptionCount:int *paymentMethods:[PaymentMethodDTO] *marketingSms:bool *marketingEmail:bool
  *marketingKakao:bool createdAt:time dormantAt:time *customFields:object *countryCode:str
CustomerListPageDTO = *content:[CustomerListDTO] *empty:bool *first:bool *last:bool *number:int
  *numberOfElements:int *pageable:PageableDTO *size:int *sort:SortDTO *totalElements:int *totalPages:int
CustomerOrderDTO = *id:int *type:str *productName:str *amount:num *claimMethodType:str *createdAt:time
CustomerPaymentMethodV1DTO = paymentGateway:str paymentInfo:str
CustomerSubscriptionDTO = *id:int *code:str nextPaymentDateTime:time *items:[SubscriptionItemDTO] *status:str
  *recurring:Interval paymentMethod:PaymentMethodDTO endDate:time lastPaymentDateTime:time
CustomerV1DTO = *id:int name:str email:str phone:str code:str marketingSms:bool marketingEmail:bool
  marketingKakao:bool *createdAt:time
DemoCycle = *num:int *type:str
DemoCycleDTO = *num:int *type:str
FirstSale = *enabled:bool *price:int
FirstSaleV1DTO = *enabled:bool *price:int
Interval = *interval:str *intervalCount:int
NiceCmsDTO = *corporateManager:str *companyName:str companyRegistrationNumber:str
  *accountHolderSocialSecurityNumber:str *bankCode:str *bankAccount:str *date:time *status:str errorReturn:str
NiceCmsV1DTO = *corporateManager:str *companyName:str companyRegistrationNumber:str *bankCode:str *bankAccount:str
  *date:time *status:str errorReturn:str
OptionCombinationDTO = *id:[int] quantity:int price:num *status:str
OptionCombinationV1DTO = *id:[int] quantity:int price:num *status:str
OrderCustomerDTO = *id:int *uuid:str status:str name:str email:str phone:str shipping:ShippingV1DTO username:str
  code:str *marketingSms:bool *marketingEmail:bool *marketingKakao:bool *attributes:object *createdAt:time
OrderCustomerV1DTO = name:str email:str phone:str
OrderItemUnitChangeHistoryV1DTO = *changedCount:int *days:int
OrderItemV1DTO = *id:int *code:str *paidAmount:num *currency:str *quantity:int price:PriceV1DTO product:ProductV1DTO
  type:str *status:str featuredImageUrl:str selectedProductOptionLabel:str *selectedProductOptionIds:[int]
  *createdAt:time canceledDateTime:time *orderItemCode:str *modifiedAt:time *orderedProductType:str
  *orderedProductName:str *orderedPlanName:str discountName:str relatedOrderItemId:int priceSetupType:str
  demoCycle:DemoCycleDTO usedCount:num usageFormula:str deliveryCode:str histories:[CSItemDTO]
  unitChangeHistory:[OrderItemUnitChangeHistoryV1DTO] unitCount:int *minimumQuantity:int maximumQuantity:int
  parentOrderItemCode:str
OrderListPageV1DTO = *content:[OrderListV1DTO] *empty:bool *first:bool *last:bool *number:int *numberOfElements:int
  *pageable:PageableDTO *size:int *sort:SortDTO *totalElements:int *totalPages:int
OrderListV1DTO = *id:int customerName:str *type:str *productName:str *items:[ProductOrderitemdto] *price:int
  paymentDate:time purchaseDeadline:time *createdAt:time modifiedAt:time *claimMethodType:str *paidAmount:num
  *returnedAmount:num *leftAmount:num
OrderLogDTO = *id:int *type:str *content:str *createdAt:time
OrderLogV1DTO = *id:int *type:str *content:str *createdAt:time
OrderPaymentDTO = paymentMethod:str paymentDate:time *amount:int *discount:int paymentReturn:object
  paymentReceiptUrl:str paymentGateway:str cardNumber:str vbankDTO:VBankDTO niceCmsDTO:NiceCmsDTO
  customerDTO:ProductCustomerdto errorCode:str errorMessage:str
OrderPaymentV1DTO = paymentMethod:str paymentDate:time *amount:int *discount:int paymentReturn:object
  paymentReceiptUrl:str paymentGateway:str cardNumber:str vbankDTO:VBankV1DTO niceCmsDTO:NiceCmsV1DTO
  customerDTO:OrderCustomerV1DTO errorCode:str errorMessage:str
OrderSubscriptionDTO = *id:int *status:str *items:[SubscriptionItemDTO] *price:ProductPricedto startDate:time
  lastPaymentDate:time nextPaymentDate:time endDate:time *interval:str *intervalCount:int trialEndDate:time
OrderSubscriptionV1DTO = *id:int *status:str *items:[SubscriptionItemV1DTO] *price:PriceV1DTO startDate:time
  lastPaymentDate:time nextPaymentDate:time endDate:time *interval:str *intervalCount:int trialEndDate:time
OrderV1DTO = *id:int *orderId:int *orderCode:str *type:str *paidAmount:num *leftAmount:num *returnedAmount:num
  items:[OrderItemV1DTO] customer:OrderCustomerDTO paymentDate:time purchaseDeadline:time shipping:ShippingV1DTO
  createdAt:time modifiedAt:time payment:OrderPaymentV1DTO *orderLogs:[OrderLogV1DTO] code:str
  *subscriptions:[OrderSubscriptionV1DTO] parentSubscription:OrderSubscriptionV1DTO invoiceId:int
  *discountedAmount:num *productName:str paymentDueDate:time idKey:str *relatedOrders:[RelatedOrder]
  calculateStartDate:time calculateEndDate:time childOrders:[OrderV1DTO]
PageableDTO = *offset:int *pageNumber:int *pageSize:int *paged:bool *sort:SortDTO *unpaged:bool
PaymentMethodDTO = *id:int *paymentInfo:str
Plan = *name:str *description:str detailDescription:str *isHiddenFromShop:bool adminName:str
PlanV1DTO = *name:str *description:str detailDescription:str *isHiddenFromShop:bool adminName:str
PriceAdditionalBillingDTO = *id:int *type:str *ranges:[PriceAdditionalBillingRangeDTO]
PriceAdditionalBillingRangeDTO = *id:int *until:int *price:num
PriceAdditionalBillingRangeV1DTO = *id:int *until:int *price:num
PriceAdditionalBillingV1DTO = *id:int *type:str *ranges:[PriceAdditionalBillingRangeV1DTO]
PriceBundleDTO = *product:ProductProductdto *price:ProductPricedto
PriceBundleV1DTO = *product:ProductV1DTO *price:PriceV1DTO
PriceOptionDTO = *id:int name:str productCode:str type:str *price:int priceCode:str priceName:str productType:str
  recurringDTO:PriceRecurringDTO
PriceOptionV1DTO = *id:int name:str productCode:str type:str *price:int priceCode:str priceName:str productType:str
  recurringDTO:PriceRecurringV1DTO
PriceRecurringDTO = *id:int *intervalCount:int aggregateUsageType:str interval:str usageType:str
PriceRecurringV1DTO = *id:int *intervalCount:int aggregateUsageType:str interval:str usageType:str
PriceSetupOptionDTO = *id:int name:str type:str *price:int *claimMethodType:str
PriceSetupOptionV1DTO = *id:int name:str type:str *price:int *claimMethodType:str
PriceV1DTO = *id:int *code:str *price:num unit:str planName:str planDescription:str *type:str
  *enabledFirstSalePrice:bool *firstSalePrice:int claimMethodType:str whenToClaimType:str *billingDate:int
  *maximumPurchaseQuantity:int *membershipExpirationDate:int membershipExpirationDateType:str
  setupOption:PriceSetupOptionV1DTO *options:[PriceOptionV1DTO] *volumes:[PriceVolumeV1DTO]
  additionalBilling:PriceAdditionalBillingV1DTO recurring:PriceRecurringV1DTO createdAt:time modifiedAt:time
  plan:PlanV1DTO firstSale:FirstSaleV1DTO claim:ClaimV1DTO *basicServing:int *bundlePrices:[PriceBundleV1DTO]
  *onetimeBundlePrice:num *order:int
PriceVolumeDTO = *id:int *min:int *max:int *price:int
PriceVolumeV1DTO = *id:int *min:int *max:int *price:int
ProductApiresponse = *message:str body:object
ProductCategoryDTO = *categoryId:int *name:str
ProductCategoryV1DTO = *categoryId:int *name:str
ProductCustomerdto = *id:int status:str username:str name:str email:str phone:str *orderCount:int
  *totalPurchasedPrice:num shipping:Shipping *orders:[CustomerOrderDTO] *subscriptions:[CustomerSubscriptionDTO]
  *paymentMethods:[PaymentMethodDTO] code:str *marketingSms:bool *marketingEmail:bool *marketingKakao:bool
  *attributes:object *createdAt:time *additionalRecipients:[str]
ProductErrorresponse = traceId:str *errorCode:str errorMessage:str details:ReturnError
ProductEventBadge = *event:str startDateTime:time endDateTime:time
ProductEventBadgeV1DTO = *event:str startDateTime:time endDateTime:time
ProductListDTO = *id:int *code:str *type:str *status:str *name:str quantity:int *featuredImageUrl:str
  *prices:[ProductPricedto] *createdAt:time *modifiedAt:time *description:str *categories:[ProductCategoryDTO]
  *vendorUuid:str *enabledDemo:bool isOnetimePurchasable:bool *productOrder:int countrySetting:CountrySettingDTO
ProductListPageDTO = *content:[ProductListDTO] *empty:bool *first:bool *last:bool *number:int *numberOfElements:int
  *pageable:PageableDTO *size:int *sort:SortDTO *totalElements:int *totalPages:int
ProductOptionDTO = *id:int *name:str quantity:int *price:num parent:int
ProductOptionGroupDTO = *id:int *name:str *options:[ProductOptionDTO] depth:int
ProductOptionGroupV1DTO = *id:int *name:str *options:[ProductOptionV1DTO] depth:int
ProductOptionV1DTO = *id:int *name:str quantity:int *price:num parent:int
ProductOrderdto = *orderId:int *orderCode:str *type:str *paidAmount:num *returnedAmount:num *leftAmount:num
  *discountedAmount:num *productName:str items:[ProductOrderitemdto] customer:OrderCustomerDTO paymentDate:time
  paymentDueDate:time purchaseDeadline:time shipping:Shipping createdAt:time modifiedAt:time payment:OrderPaymentDTO
  *orderLogs:[OrderLogDTO] *code:str idKey:str *subscriptions:[OrderSubscriptionDTO]
  parentSubscription:OrderSubscriptionDTO *relatedOrders:[RelatedOrder] calculateStartDate:time
  calculateEndDate:time childOrders:[ProductOrderdto]
ProductOrderitemdto = *id:int *code:str *paidAmount:num *currency:str *quantity:int price:ProductPricedto
  product:ProductProductdto type:str *status:str featuredImageUrl:str selectedProductOptionLabel:str
  *selectedProductOptionIds:[int] *createdAt:time canceledDateTime:time *orderItemCode:str *modifiedAt:time
  *orderedProductType:str *orderedProductName:str *orderedPlanName:str discountName:str relatedOrderItemId:int
  priceSetupType:str demoCycle:DemoCycle usedCount:num usageFormula:str deliveryCode:str histories:[CSItemDTO]
  *minimumQuantity:int maximumQuantity:int parentOrderItemCode:str
  unitChangeHistory:[OrderItemUnitChangeHistoryV1DTO] unitCount:int
ProductPerioddto = *startDateTime:time *endDateTime:time
ProductPricedto = *id:int *code:str *price:num unit:str planName:str planDescription:str *type:str
  *enabledFirstSalePrice:bool *firstSalePrice:int claimMethodType:str whenToClaimType:str *billingDate:int
  *maximumPurchaseQuantity:int *membershipExpirationDate:int membershipExpirationDateType:str
  setupOption:PriceSetupOptionDTO *options:[PriceOptionDTO] *volumes:[PriceVolumeDTO]
  additionalBilling:PriceAdditionalBillingDTO recurring:PriceRecurringDTO createdAt:time modifiedAt:time plan:Plan
  firstSale:FirstSale claim:Claim *basicServing:int *bundlePrices:[PriceBundleDTO] *onetimeBundlePrice:num
  *order:int
ProductProductdto = *id:int *code:str type:str *status:str name:str subTitle:str featuredImageUrl:str
  imageUrls:[str] description:str summary:str reasonOfReject:str sku:str quantity:int
  *combinedProducts:[BundleProductDTO] *optionGroups:[ProductOptionGroupDTO] *useCombination:bool
  *optionCombinations:[OptionCombinationDTO] *prices:[ProductPricedto] *createdAt:time modifiedAt:time
  *enabledDemo:bool *demoPeriod:int *demoPeriodUnit:str *categories:[ProductCategoryDTO] *vendorUuid:str
  *productOrder:int *isOnetimePurchasable:bool *eventBadge:[ProductEventBadge] notice:str useWidget:ProductWidgetDTO
  groupId:int countrySetting:CountrySettingDTO
ProductV1DTO = *id:int *code:str type:str *status:str name:str subTitle:str featuredImageUrl:str imageUrls:[str]
  description:str summary:str reasonOfReject:str sku:str quantity:int *combinedProducts:[BundleProductV1DTO]
  *optionGroups:[ProductOptionGroupV1DTO] *useCombination:bool *optionCombinations:[OptionCombinationV1DTO]
  *prices:[PriceV1DTO] *createdAt:time modifiedAt:time *enabledDemo:bool *demoPeriod:int *demoPeriodUnit:str
  *categories:[ProductCategoryV1DTO] *vendorUuid:str *productOrder:int *isOnetimePurchasable:bool
  *eventBadge:[ProductEventBadgeV1DTO] notice:str useWidget:ProductWidgetV1DTO groupId:int
  countrySetting:CountrySettingV1DTO
ProductWidgetDTO = useDemo:bool useEventBadge:bool useOnetimePurchasable:bool useNotice:bool
ProductWidgetV1DTO = useDemo:bool useEventBadge:bool useOnetimePurchasable:bool useNotice:bool
RelatedOrder = *id:int *code:str *orderType:str *productName:str *paidAmount:num *items:[RelatedOrderItem]
  *createdAt:time
RelatedOrderItem = *orderItemId:int *code:str *productName:str *plan:PlanV1DTO *status:str *amount:num
  *priceType:str parentOrderItemCode:str
ReturnError =
Shipping = *name:str *phone:str *postcode:str *address1:str *address2:str state:str city:str countryCode:str
ShippingV1DTO = *name:str *phone:str *postcode:str *address1:str *address2:str state:str city:str countryCode:str
SortDTO = *empty:bool *sorted:bool *unsorted:bool
SubscriptionCalculatedDTO = *amount:num *items:[SubscriptionCalculatedItemDTO] *startDate:time *endDate:time
SubscriptionCalculatedItemDTO = *subscriptionItemId:int count:num *amount:num *name:str *type:str unit:str
  additionalBillings:PriceAdditionalBillingDTO usageFormula:str
SubscriptionCustomerV1DTO = *id:int uuid:str code:str status:str username:str name:str email:str phone:str
  shipping:ShippingV1DTO *marketingSms:bool *marketingEmail:bool *marketingKakao:bool *attributes:object
SubscriptionItemDTO = *id:int code:str *productName:str *productType:str *isOnetimePurchasable:bool
  *featuredImageUrl:str selectedProductOptionLabel:str *selectedProductOptionIds:[int]
  *selectedProductOptionPrice:num *plan:Plan *price:num *quantity:int *isAdditional:bool *keepWhenRenew:bool
  *hasOptions:bool maximumPurchaseQuantity:int productCode:str priceCode:str *type:str *claimMethodType:str
  *priceType:str *selectedOptions:[int] parentSubscriptionItemCode:str
SubscriptionItemV1DTO = *id:int code:str *productName:str *productType:str *isOnetimePurchasable:bool
  *featuredImageUrl:str selectedProductOptionLabel:str *selectedProductOptionIds:[int]
  *selectedProductOptionPrice:num *plan:PlanV1DTO *price:num *quantity:int *isAdditional:bool *keepWhenRenew:bool
  *hasOptions:bool maximumPurchaseQuantity:int productCode:str priceCode:str *type:str *claimMethodType:str
  *priceType:str *selectedOptions:[int] parentSubscriptionItemCode:str
SubscriptionListV1DTO = *id:int *status:str *customerName:str *productName:str *price:PriceV1DTO
  *items:[SubscriptionItemV1DTO] *startDateTime:time *lastPaymentDateTime:time nextPaymentDateTime:time
  expiredDateTime:time pausedDateTime:time *interval:str *intervalCount:int paymentMethod:CustomerPaymentMethodV1DTO
  endDate:time
SubscriptionListV1PageDTO = *content:[SubscriptionListV1DTO] *empty:bool *first:bool *last:bool *number:int
  *numberOfElements:int *pageable:PageableDTO *size:int *sort:SortDTO *totalElements:int *totalPages:int
SubscriptionV1DTO = *id:int *status:str *price:PriceV1DTO *startDate:time trialPeriod:ProductPerioddto
  lastPaymentDate:time nextPaymentDate:time endDate:time parentOrder:OrderV1DTO items:[SubscriptionItemV1DTO]
  *customer:SubscriptionCustomerV1DTO *relatedOrders:[OrderV1DTO] pausedDateTime:time *interval:str
  *intervalCount:int paymentMethod:CustomerPaymentMethodV1DTO originNextPaymentDate:time shipping:ShippingV1DTO
  canceledVia:str *recurringCount:int *currentPeriod:ProductPerioddto
VBankDTO = bankCode:str *bankName:str *accountNumber:str *accountName:str *bankDate:time
VBankV1DTO = bankCode:str *bankName:str *accountNumber:str *accountName:str *bankDate:time
"""
CLASSES: dict[str, list[tuple[bool, str, str]]] = {}
for _name, _text in re.findall(r"^(\w+) =(.*(?:\n  .*)*)", TABLE, re.MULTILINE):
    CLASSES[_name] = [
        (f.startswith("*"), f.lstrip("*").partition(":")[0], f.partition(":")[2]) for f in _text.split()]
PLAIN: dict[str, Any] = {"int": int, "num": (int, float), "bool": bool, "str": str, "object": dict}


def faults(value: Any, kind: str, where: str) -> list[str]:
    """What a strict reader would refuse in `value`."""
    if kind.startswith("["):
        if not isinstance(value, list):
            return [f"{where} is no list"]
        return [fault for n, v in enumerate(value) for fault in faults(v, kind[1:-1], f"{where}[{n}]")]
    if kind == "time":
        try:
            datetime.fromisoformat(value)
            return [f"{where} has a zone"] if re.search(r"Z|[+]", value) else []
        except (TypeError, ValueError):
            return [f"{where} is no time"]
    if kind in PLAIN:
        right = isinstance(value, PLAIN[kind]) and (kind == "bool" or not isinstance(value, bool))
        return [] if right else [f"{where} is no {kind}: {value!r}"]
    if not isinstance(value, dict):
        return [f"{where} is no {kind}"]
    found: list[str] = []
    for required, name, inner in CLASSES[kind]:
        if value.get(name) is not None:
            found += faults(value[name], inner, f"{where}.{name}")
        elif required:
            found.append(f"{where}.{name} is missing")
    return found


class Reader:
    """A strict client: it refuses an answer that is not as specified."""

    def __init__(self, switches: Switches) -> None:
        self.emulator = ManagedEmulator(switches=switches)
        self.token = {"secret-token": self.emulator.settings()["secret_token"]}

    def __call__(self, kind: str, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        sent = b"" if body is None else json.dumps(body).encode()
        answer = self.emulator.answer(Call(method, path, self.token, sent))
        assert answer.status == status, answer.body
        value = json.loads(answer.body)
        assert faults(value, kind, path) == []
        return value


SETTINGS = [Switches(), Switches(nulls="absent"),
            Switches(amounts="decimal", zone_hours=9, payment_before_attempt=True),
            Switches(amounts="int", vat_included=False)]


@pytest.mark.parametrize("switches", SETTINGS)
def test_a_strict_reader_takes_every_answer_from_customer_to_subscription(switches: Switches) -> None:
    ask = Reader(switches)
    code = ask.emulator.settings()["product_code"]
    customer = ask("CustomerV1DTO", "POST", "/api/v1/customers", {
        "name": "Kim", "email": "kim@example.com", "phone": "010-1234-5678", "attributes": {"tier": '"gold"'},
        "shipping": {"postcode": "03187", "address1": "Seoul", "address2": "1"}}, 201)
    number = customer["id"]
    ask("CustomerV1DTO", "PUT", f"/api/v1/customers/{number}", {"name": "Lee", "phone": "0212345678"})
    made = ask("ProductProductdto", "POST", "/api/v1/products", {
        "type": "BOX", "status": "SALE", "name": "Tea", "imageUrls": ["https://example.invalid/1"], "enabledDemo": True,
        "eventBadge": [{"event": "new"}], "useWidget": {"useDemo": True}}, 201)
    ask("ProductProductdto", "PUT", f"/api/v1/products/{made['id']}", {"name": "Green tea"})
    ask("ProductApiresponse", "PATCH", f"/api/v1/products/{made['id']}/status?status=UNSOLD")
    product = ask("ProductProductdto", "GET", f"/api/v1/products/{code}")
    plan = {"name": "Basic", "description": ""}
    price = ask("ProductPricedto", "POST", f"/api/v1/products/{product['id']}/prices", {
        "type": "FLAT", "price": 8900, "unit": "case", "plan": plan,
        "setupOption": {"name": "fee", "type": "INITIALLY"},
        "recurring": {"interval": "MONTH", "intervalCount": 1}}, 201)
    path = f"/api/v1/products/{product['id']}/prices"
    ask("ProductPricedto", "GET", f"{path}/{price['id']}")
    ask("[PriceV1DTO]", "GET", path)
    ask("ProductListPageDTO", "GET", "/api/v1/products")
    order = ask("ProductOrderdto", "POST", "/api/v1/orders", {
        "customerId": number, "items": [{"productCode": code, "priceCode": price["code"]}]}, 201)
    ask("OrderV1DTO", "GET", f"/api/v1/orders/{order['orderCode']}")
    ask.emulator.controls()["payer"](order_id=order["orderCode"], action="decline")
    ask("OrderV1DTO", "GET", f"/api/v1/orders/{order['orderCode']}")
    ask.emulator.controls()["payer"](order_id=order["orderCode"])
    paid = ask("OrderV1DTO", "GET", f"/api/v1/orders/{order['orderId']}")
    subscription = f"/api/v1/subscriptions/{paid['subscriptions'][0]['id']}"
    ask.emulator.clock.advance(86_400 * 40)
    ask("ProductPricedto", "PUT", f"{path}/{price['id']}", {"unit": "case", "plan": plan, "type": "FLAT"})
    detail = ask("SubscriptionV1DTO", "GET", subscription)
    item = detail["items"][0]["id"]
    ask("SubscriptionV1DTO", "PUT", f"{subscription}/items/{item}", {"quantity": 2})
    ask("SubscriptionV1DTO", "PUT", f"{subscription}/items", [{"id": item, "quantity": 1}])
    ask("SubscriptionV1DTO", "POST", f"{subscription}/items", {
        "productCode": code, "priceCode": price["code"]})
    ask("SubscriptionV1DTO", "DELETE", f"{subscription}/items/{item}")
    ask("SubscriptionCalculatedDTO", "GET", f"{subscription}/calculate")
    ask("SubscriptionListV1PageDTO", "GET", "/api/v1/subscriptions")
    ask("ProductCustomerdto", "GET", f"/api/v1/customers/{number}")
    ask("CustomerListPageDTO", "GET", "/api/v1/customers?keyword=Lee&sortDir=ASC")
    ask("OrderListPageV1DTO", "GET", "/api/v1/orders?page=0&size=1&status=PAID")
    ask("ProductOrderdto", "PUT", f"{subscription}/payment-method", {}, 201)
    ask("ProductOrderdto", "POST", f"/api/v1/customers/{number}/payment-method", None, 201)
    ask("ProductOrderdto", "PUT", f"/api/v1/customers/{number}/payment-method", None, 201)
    ask("ProductApiresponse", "POST", f"{subscription}/pause", {})
    ask("ProductApiresponse", "POST", f"{subscription}/active", None, 201)
    ask("ProductApiresponse", "POST", f"{subscription}/renew")
    ask("ProductApiresponse", "PUT", f"{subscription}/interval", {"interval": "WEEK", "intervalCount": 2})
    ask("ProductApiresponse", "POST", f"{subscription}/change-pay-datetime", {"when": "2026-12-01T00:00:00Z"})
    ask("ProductApiresponse", "POST", f"{subscription}/cancel", {"whenToCancel": "NOW"})
    ask("ProductApiresponse", "PATCH", f"/api/v1/orders/{order['orderCode']}/cancel", {"requestPrice": 100})
    ask("ProductApiresponse", "DELETE", f"/api/v1/customers/{number}/payment-method/9001")
    ask("AccountApiresponse", "DELETE", f"/api/v1/customers/{number}")
    ask("ProductApiresponse", "DELETE", f"{path}/{price['id']}")
    ask("ProductApiresponse", "DELETE", f"/api/v1/products/{product['id']}")
    ask("ProductErrorresponse", "GET", f"/api/v1/products/{code}", None, 404)


def test_the_strict_reader_would_notice_a_missing_field_and_a_wrong_type() -> None:
    good = {"message": "OK"}
    assert faults(good, "ProductApiresponse", "") == []
    assert faults({}, "ProductApiresponse", "")
    assert faults({"message": 1}, "ProductApiresponse", "")
    assert faults("2026-01-05T03:00:00Z", "time", "")
