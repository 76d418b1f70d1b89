"""The networks of `swiftnet.models` as a PyTorch user writes them: what the tests compare with."""

import math

import torch
import torch.nn.functional as F
from torch import nn


def initialize(model):
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
            nn.init.constant_(m.weight, 1)
            nn.init.constant_(m.bias, 0)


def conv(inputs, outputs, kernel, stride=1, padding=0, dilation=1, groups=1, bias=False):
    return nn.Conv2d(
        inputs, outputs, kernel_size=kernel, stride=stride, padding=padding, dilation=dilation, groups=groups, bias=bias
    )


# ---- residual networks ----


class ChannelAttention(nn.Module):
    def __init__(self, in_planes, ratio=16):
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.max_pool = nn.AdaptiveMaxPool2d(1)
        self.fc1 = conv(in_planes, max(in_planes // ratio, 1), 1)
        self.relu1 = nn.ReLU()
        self.fc2 = conv(max(in_planes // ratio, 1), in_planes, 1)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x):
        branches = [self.fc2(self.relu1(self.fc1(pool(x)))) for pool in (self.avg_pool, self.max_pool)]
        return self.sigmoid(branches[0] + branches[1])


class SpatialAttention(nn.Module):
    def __init__(self, kernel_size=7):
        super().__init__()
        self.conv1 = conv(2, 1, kernel_size, padding=kernel_size // 2)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x):
        mean = x.mean(dim=1, keepdim=True)
        greatest, _ = x.max(dim=1, keepdim=True)
        return self.sigmoid(self.conv1(torch.cat([mean, greatest], dim=1)))


class Pad(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.extra, self.stride = outputs - inputs, stride

    def forward(self, x):
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inputs, planes, stride, shortcut, groups, base_width, dilation, norm, cbam):
        super().__init__()
        self.conv1 = conv(inputs, planes, 3, stride, padding=1)
        self.bn1 = norm(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv(planes, planes, 3, padding=1)
        self.bn2 = norm(planes)
        if cbam:
            self.ca = ChannelAttention(planes)
            self.sa = SpatialAttention()
        self.downsample = shortcut

    def branch(self, x):
        return self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))

    def forward(self, x):
        out = self.branch(x)
        if hasattr(self, "ca"):
            out = self.ca(out) * out
            out = self.sa(out) * out
        out = out + (x if self.downsample is None else self.downsample(x))
        return self.relu(out)


class Bottleneck(BasicBlock):
    expansion = 4

    def __init__(self, inputs, planes, stride, shortcut, groups, base_width, dilation, norm, cbam):
        nn.Module.__init__(self)
        width = int(planes * (base_width / 64.0)) * groups
        self.conv1 = conv(inputs, width, 1)
        self.bn1 = norm(width)
        self.conv2 = conv(width, width, 3, stride, padding=dilation, dilation=dilation, groups=groups)
        self.bn2 = norm(width)
        self.conv3 = conv(width, planes * 4, 1)
        self.bn3 = norm(planes * 4)
        self.relu = nn.ReLU(inplace=True)
        if cbam:
            self.ca = ChannelAttention(planes * 4)
            self.sa = SpatialAttention()
        self.downsample = shortcut

    def branch(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.bn3(self.conv3(out))


class ResNet(nn.Module):
    def __init__(
        self, block, layers, num_classes=1000, zero_init_residual=False, groups=1, width_per_group=64,
        replace_stride_with_dilation=(False, False, False), norm_layer=nn.BatchNorm2d, deep_base=False,
        shortcut="projection", cbam=False, width=64,
    ):  # fmt: skip
        super().__init__()
        self.settings = (block, groups, width_per_group, norm_layer, shortcut, cbam)
        self.dilation = 1
        if deep_base:
            self.inplanes = 2 * width
            self.conv1, self.bn1 = conv(3, width, 3, 2, padding=1), norm_layer(width)
            self.conv2, self.bn2 = conv(width, width, 3, padding=1), norm_layer(width)
            self.conv3, self.bn3 = conv(width, 2 * width, 3, padding=1), norm_layer(2 * width)
        else:
            self.inplanes = width
            self.conv1, self.bn1 = conv(3, width, 7, 2, padding=3), norm_layer(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self.stage(width, layers[0], 1, False)
        self.layer2 = self.stage(2 * width, layers[1], 2, replace_stride_with_dilation[0])
        self.layer3 = self.stage(4 * width, layers[2], 2, replace_stride_with_dilation[1])
        self.layer4 = self.stage(8 * width, layers[3], 2, replace_stride_with_dilation[2])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * width * block.expansion, num_classes)
        initialize(self)
        if zero_init_residual:
            for m in self.modules():
                if isinstance(m, BasicBlock):
                    nn.init.constant_((m.bn3 if isinstance(m, Bottleneck) else m.bn2).weight, 0)

    def stage(self, planes, blocks, stride, dilate):
        block, groups, base_width, norm, shortcut, cbam = self.settings
        before = self.dilation
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        outputs = planes * block.expansion
        first = None
        if stride != 1 or self.inplanes != outputs:
            if shortcut == "pad":
                first = Pad(self.inplanes, outputs, stride)
            else:
                first = nn.Sequential(conv(self.inplanes, outputs, 1, stride), norm(outputs))
        made = [block(self.inplanes, planes, stride, first, groups, base_width, before, norm, cbam)]
        self.inplanes = outputs
        for _ in range(1, blocks):
            made.append(block(outputs, planes, 1, None, groups, base_width, self.dilation, norm, cbam))
        return nn.Sequential(*made)

    def stem(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        if hasattr(self, "conv2"):
            x = self.relu(self.bn2(self.conv2(x)))
            x = self.relu(self.bn3(self.conv3(x)))
        return self.maxpool(x)

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Residualblock(nn.Module):
    def __init__(self, inputs, outputs, stride=1, shortcut=None):
        super().__init__()
        self.longway = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )
        self.shortway = shortcut

    def forward(self, x):
        residual = self.longway(x)
        identity = x if self.shortway is None else self.shortway(x)
        return F.relu(identity + residual)


class PlainResNet(nn.Module):
    def __init__(self, out_size=10, layers=(2, 3, 5, 2), width=64, shortcut="convolution"):
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, width, 7, 2, 3), nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        )
        self.layer1 = self.stage(width, width, layers[0], 1, shortcut)
        self.layer2 = self.stage(width, 2 * width, layers[1], 2, shortcut)
        self.layer3 = self.stage(2 * width, 4 * width, layers[2], 2, shortcut)
        self.layer4 = self.stage(4 * width, 8 * width, layers[3], 2, shortcut)
        self.avg_pool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * width, out_size)
        initialize(self)

    def stage(self, inputs, outputs, blocks, stride, shortcut):
        way = None
        if shortcut == "convolution":
            way = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride))
        elif inputs != outputs or stride != 1:
            way = Pad(inputs, outputs, stride)
            if shortcut == "projection":
                way = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        made = [nn.Sequential(Residualblock(inputs, outputs, stride, way))]
        made += [Residualblock(outputs, outputs, 1) for _ in range(blocks)]
        return nn.Sequential(*made)

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.conv1(x)))))
        return self.fc(torch.flatten(self.avg_pool(x), 1))


# ---- scene parsing ----


class PPM(nn.Module):
    def __init__(self, in_dim, reduction_dim, bins):
        super().__init__()
        self.features = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(size), conv(in_dim, reduction_dim, 1), nn.BatchNorm2d(reduction_dim),
                nn.ReLU(inplace=True),
            )
            for size in bins
        )  # fmt: skip

    def forward(self, x):
        size = x.shape[2:]
        maps = [F.interpolate(f(x), size, mode="bilinear", align_corners=True) for f in self.features]
        return torch.cat([x, *maps], 1)


class PSPNet(nn.Module):
    def __init__(self, layers, bins=(1, 2, 3, 6), dropout=0.1, classes=2, zoom_factor=8, use_ppm=True, width=64):
        super().__init__()
        self.zoom_factor, self.use_ppm = zoom_factor, use_ppm
        self.criterion = nn.CrossEntropyLoss(ignore_index=255)
        net = ResNet(Bottleneck, layers, deep_base=True, width=width)
        self.layer0 = nn.Sequential(
            net.conv1, net.bn1, net.relu, net.conv2, net.bn2, net.relu, net.conv3, net.bn3, net.relu, net.maxpool
        )
        self.layer1, self.layer2, self.layer3, self.layer4 = net.layer1, net.layer2, net.layer3, net.layer4
        for stage, dilation in ((self.layer3, 2), (self.layer4, 4)):
            for name, m in stage.named_modules():
                if "conv2" in name:
                    m.dilation, m.padding, m.stride = (dilation,) * 2, (dilation,) * 2, (1, 1)
                elif "downsample.0" in name:
                    m.stride = (1, 1)
        channels = 32 * width
        if use_ppm:
            self.ppm = PPM(channels, channels // len(bins), bins)
            channels *= 2
        self.cls = self.head(channels, 8 * width, classes, dropout)
        self.aux = self.head(16 * width, 4 * width, classes, dropout)

    def head(self, inputs, hidden, classes, dropout):
        return nn.Sequential(
            conv(inputs, hidden, 3, padding=1), nn.BatchNorm2d(hidden), nn.ReLU(inplace=True), nn.Dropout2d(p=dropout),
            nn.Conv2d(hidden, classes, kernel_size=1),
        )  # fmt: skip

    def forward(self, x, y=None):
        size = [(n - 1) // 8 * self.zoom_factor + 1 for n in x.shape[2:]]

        def enlarge(logits):
            if self.zoom_factor == 1:
                return logits
            return F.interpolate(logits, size=size, mode="bilinear", align_corners=True)

        third = self.layer3(self.layer2(self.layer1(self.layer0(x))))
        x = self.layer4(third)
        x = enlarge(self.cls(self.ppm(x) if self.use_ppm else x))
        if not self.training:
            return x
        aux = enlarge(self.aux(third))
        return x.max(1)[1], self.criterion(x, y), self.criterion(aux, y)


# ---- many labels ----


class BGATLayer(nn.Module):
    def __init__(self, in_features, out_features, dropout=0.0, alpha=0.2, residual=False):
        super().__init__()
        self.dropout, self.residual, self.out_features = dropout, residual, out_features
        self.W = nn.Parameter(torch.zeros(in_features, out_features))
        nn.init.xavier_uniform_(self.W.data, gain=1.414)
        self.a = nn.Parameter(torch.zeros(2 * out_features, 1))
        nn.init.xavier_uniform_(self.a.data, gain=1.414)
        self.beta = nn.Parameter(torch.ones(1))
        self.leakyrelu = nn.LeakyReLU(alpha)

    def forward(self, x):
        batch, nodes, _ = x.size()
        h = torch.matmul(x, self.W)
        # Every pair of nodes as a vector of twice the features.
        first = h.unsqueeze(2).expand(batch, nodes, nodes, self.out_features)
        second = h.unsqueeze(1).expand(batch, nodes, nodes, self.out_features)
        pairs = torch.cat([first, second], dim=3)
        attention = F.softmax(self.leakyrelu(torch.matmul(pairs, self.a).squeeze(3)), dim=2)
        attention = F.dropout(attention, self.dropout, training=self.training)
        out = torch.bmm(attention, h)
        return F.elu(out + self.beta * h if self.residual else out)


class NHeadsBGATLayer(nn.Module):
    def __init__(self, nheads, aggregate, *args, **kwargs):
        super().__init__()
        self.aggregate = aggregate
        self.gats = nn.ModuleList([BGATLayer(*args, **kwargs) for _ in range(nheads)])

    def forward(self, x):
        heads = [gat(x) for gat in self.gats]
        return torch.cat(heads, dim=2) if self.aggregate == "concat" else torch.stack(heads).mean(0)


class BasicConv(nn.Module):
    def __init__(self, in_planes, out_planes, kernel_size):
        super().__init__()
        self.conv = conv(in_planes, out_planes, kernel_size)
        self.bn = nn.BatchNorm2d(out_planes, eps=1e-5, momentum=0.01)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.bn(self.conv(x)))


class Parallel_Bottleneck(nn.Module):
    def __init__(self, groups, group_channels, reduction=1):
        super().__init__()
        self.groups = groups
        inner = groups * (group_channels // reduction)
        self.conv1, self.bn1 = conv(group_channels, inner, 1), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = conv(inner, inner, 3, padding=1, groups=groups), nn.BatchNorm2d(inner)
        self.conv3 = conv(inner, groups * group_channels, 1, groups=groups)
        self.bn3 = nn.BatchNorm2d(groups * group_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(out)))))
        return self.relu(out + x.repeat(1, self.groups, 1, 1))


def uniform_by_second_size(layer):
    bound = 1 / math.sqrt(layer.weight.size(1))
    layer.weight.data.uniform_(-bound, bound)
    layer.bias.data.uniform_(-bound, bound)


class Parallel_GroupLinear(nn.Module):
    def __init__(self, n_groups, n_classes, group_channels, class_channels, nclasses_per_group):
        super().__init__()
        self.counts = nclasses_per_group
        self.described = f"ngroups={n_groups}, in_features={group_channels}, out_features={class_channels}, bias=True"
        self.weight = nn.Parameter(torch.empty(group_channels, n_classes, class_channels))
        self.bias = nn.Parameter(torch.empty(n_classes, class_channels))
        uniform_by_second_size(self)

    def extra_repr(self):
        return self.described

    def forward(self, x):
        group_of_class = torch.repeat_interleave(torch.arange(len(self.counts)), torch.tensor(self.counts))
        return torch.einsum("bnc,cnk->bnk", x[:, group_of_class], self.weight) + self.bias


class group_divided_linear(nn.Module):
    def __init__(self, ngroups, in_features, out_features):
        super().__init__()
        self.described = f"ngroups={ngroups}, in_features={in_features}, out_features={out_features}, bias=True"
        self.weight = nn.Parameter(torch.empty(ngroups, in_features, out_features))
        self.bias = nn.Parameter(torch.empty(ngroups, out_features))
        uniform_by_second_size(self)

    def extra_repr(self):
        return self.described

    def forward(self, x):
        return torch.einsum("bgi,gio->bgo", x, self.weight) + self.bias


class nclass_BasicLinear(nn.Module):
    def __init__(self, in_features, out_features, fc_groups):
        super().__init__()
        self.fc = group_divided_linear(fc_groups, in_features, out_features)
        self.bn = nn.BatchNorm1d(fc_groups)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.bn(self.fc(x)))


class parallel_final_fcs_ResidualLinearBlock(nn.Module):
    def __init__(self, n_classes, reduction, class_channels):
        super().__init__()
        self.fc1 = nclass_BasicLinear(class_channels, class_channels // reduction, n_classes)
        self.fc2 = nclass_BasicLinear(class_channels // reduction, class_channels, n_classes)

    def forward(self, x):
        return x + self.fc2(self.fc1(x))


class parallel_output_linear(nn.Module):
    def __init__(self, n_classes, class_channels):
        super().__init__()
        self.output_fc = group_divided_linear(n_classes, class_channels, 1)

    def forward(self, x):
        return self.output_fc(x)


class Head(nn.Module):
    def __init__(self, groups, nclasses, counts, group_channels, class_channels, in_planes, residual=False):
        super().__init__()
        self.groups, self.group_channels = groups, group_channels
        self.reduce_conv = BasicConv(in_planes, group_channels, 1)
        self.bottle_nect = Parallel_Bottleneck(groups, group_channels)
        self.group_linear = Parallel_GroupLinear(groups, nclasses, group_channels, class_channels, counts)
        self.gmp = nn.AdaptiveMaxPool2d(1)
        self.gat = BGATLayer(class_channels, class_channels, residual=residual)

        def blocks(count):
            made = [parallel_final_fcs_ResidualLinearBlock(nclasses, 2, class_channels) for _ in range(count)]
            return nn.Sequential(*made, parallel_output_linear(nclasses, class_channels))

        self.final_fcs = blocks(1)
        self.supplement_output_structure = blocks(2)

    def forward(self, x):
        x = self.bottle_nect(self.reduce_conv(x))
        x = self.group_linear(self.gmp(x).view(x.size(0), self.groups, self.group_channels))
        supplement = self.supplement_output_structure(x).squeeze(2)
        return self.final_fcs(self.gat(x)).squeeze(2), supplement


class GroupClsGat(nn.Module):
    def __init__(self, backbone, groups, nclasses, counts, group_channels, class_channels, residual=False):
        super().__init__()
        planes = backbone.fc.in_features
        parts = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"]
        self.features = nn.Sequential(*[getattr(backbone, name) for name in parts])
        self.heads = Head(groups, nclasses, counts, group_channels, class_channels, planes, residual)

    def forward(self, x, inp=None):
        return self.heads(self.features(x))


# ---- fusion ----


def extractor(dimensions, inputs, num, p):
    convolution, pool, norm = (getattr(nn, f"{name}{dimensions}d") for name in ("Conv", "MaxPool", "BatchNorm"))
    return nn.Sequential(
        convolution(inputs, num, 3, 1, 0, bias=False), pool(2, 1, 0), norm(num), nn.LeakyReLU(), nn.Dropout(p)
    )


class CCN(nn.Module):
    def __init__(self, num, p, cnt, input_size, classes=30):
        super().__init__()
        self.features = extractor(len(input_size), 1, num, p)
        self.classifier = nn.Sequential(nn.Linear(cnt * num * math.prod(n - 3 for n in input_size), classes))

    def forward(self, inputs):
        out = torch.cat([self.features(x) for x in inputs], dim=1)
        return self.classifier(out.view(out.shape[0], -1))


class CCNModels(nn.Module):
    def __init__(self, num, p, cnt, input_size, classes=30):
        super().__init__()
        for index in range(cnt):
            setattr(self, f"features{index}", extractor(len(input_size), 1, num, p))
        self.count = cnt
        self.classifier = nn.Sequential(nn.Linear(cnt * num * math.prod(n - 3 for n in input_size), classes))

    def forward(self, x):
        out = torch.cat([getattr(self, f"features{index}")(x) for index in range(self.count)], dim=1)
        return self.classifier(out.view(out.shape[0], -1))


class CCNSingle(nn.Module):
    def __init__(self, num, p, input_size, classes=30):
        super().__init__()
        self.features = extractor(len(input_size), 1, num, p)
        self.classifier = nn.Sequential(nn.Linear(num * math.prod(n - 3 for n in input_size), classes))

    def forward(self, x):
        out = self.features(x)
        return self.classifier(out.view(out.shape[0], -1))


class DecisionFusion(nn.Module):
    def __init__(self, first, second, weights):
        super().__init__()
        self.model0, self.model1 = first, second
        self.weights = weights

    def forward(self, x):
        return self.weights[0] * self.model0(x) + self.weights[1] * self.model1(x)
